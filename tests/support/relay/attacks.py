"""Attacks on the relay, as tests/relay/attacks/*.toml has them, and how what came of them is judged.

Each file is one group. An attack:

    name     a sentence: what holds
    why      what would go wrong
    expect   nothing (no index sees a request), passes (one does), rewritten (one sees an upload)
    way      tunnel: inside of a CONNECT to `to` (default index.example:443), after TLS
             reverse: to the loopback URL
             connect: to the port, a CONNECT; `inside` is what is sent in the tunnel if it opens
             absolute: to the port, plain http through the proxy
             a form without a way is sent in both of the first two
    status   what the tool gets, where that matters
    there, gone   texts that the request at the index must have, and must not have
    bare     true: what passes has no Authorization at all
    own      true: what passes keeps the tool's own Authorization, and has ours nowhere
    times    how many requests reach an index, if not one
    sni, early, pieces   for a real process alone: another name in TLS, bytes before the tunnel is
             open, and the number of bytes that are sent at once

What is sent is either `send`, the request as it is, or put together from `method`, `target`,
`headers` (each with its own line) and `version`, with the good ones where they are left out. Text
is Latin-1; the end of a line stands for CR LF; escapes are `\\r`, `\\n`, `\\0`, `\\t`, `\\\\` and
`\\xHH`. `{NAME}` stands for:

    CAPABILITY, PORT   of the run
    CORP               what the loopback URL of the index `corp` has before the path there
    BASIC, DUMMY       base64 of run:CAPABILITY, of __token__:CAPABILITY
    WHEEL, FILE        a good file, its name
    SHA256, SHA256UPPER   its digest
    FORM, KIND         the good form, its Content-Type
    LENGTH             the number of bytes behind the empty line
    text*1000          a thousand times the text

A form (`[attack.form]`) begins as the good one: `set` gives fields another value, `drop` takes some
out, `first` and `last` add parts (`[name, value]` or `[name, value, file name]`), `file` renames the
file, `edit` exchanges text in the whole, `before` and `after` stand around it. `type` is its
Content-Type, `chunked` sends it in chunks, with `trailers` behind them.
"""

from __future__ import annotations

import base64
import hashlib
import re
import tomllib
from typing import Any, NamedTuple

from packaging.utils import canonicalize_name

from support import TESTS
from support.relay.readers import read_upload

FOLDER = TESTS / "relay" / "attacks"
FILE = b"mine-1.9-py3-none-any.whl"
WHEEL = b"PK\x03\x04 not much of a wheel \r\n--BBB\n--BBB-- " + bytes(range(256)) * 8
SHA256 = hashlib.sha256(WHEEL).hexdigest().encode()
FIELDS: list[tuple[bytes, bytes]] = [
    (b":action", b"file_upload"),
    (b"protocol_version", b"1"),
    (b"name", b"mine"),
    (b"version", b"1.9"),
    (b"filetype", b"bdist_wheel"),
    (b"pyversion", b"py3"),
    (b"metadata_version", b"2.1"),
    (b"classifiers", b"A :: B"),
    (b"classifiers", b"C :: D"),
    (b"description", b"first line\r\nsecond line\n"),
    (b"sha256_digest", SHA256),
]
TOOLS_OWN = b"Basic dG9vbDpvd24="
BOUNDARY = b"BBB0123456789"


KIND = b"multipart/form-data; boundary=" + BOUNDARY


class Attack(NamedTuple):
    """One attack; `raw` and `inside` still have the places of CAPABILITY, PORT and their like."""

    name: str
    way: str
    expect: str
    raw: bytes
    inside: bytes
    to: str
    status: int | None
    there: tuple[bytes, ...]
    gone: tuple[bytes, ...]
    own: bool
    bare: bool
    times: int
    sni: str | None
    early: bytes
    pieces: int

    @property
    def needs_a_process(self) -> bool:
        """Whether it is about TLS, or about what arrives when."""
        return self.sni is not None or bool(self.early) or bool(self.pieces)


class Seen(NamedTuple):
    """A request that reached an index."""

    authority: bytes
    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


def load() -> list[Attack]:
    """Return all attacks, each in each of its ways."""
    found: list[Attack] = []
    for path in sorted(FOLDER.glob("*.toml")):
        for values in tomllib.loads(path.read_text("utf-8"))["attack"]:
            ways = [values["way"]] if "way" in values else ["tunnel", "reverse"]
            found += [_attack(way, values) for way in ways]
    return found


def fill(raw: bytes, capability: bytes, port: int, corp: bytes = b"/corp") -> bytes:
    """Put into a request what only a run knows, and the number of bytes behind its empty line."""
    known = {
        b"CAPABILITY": capability,
        b"BASIC": base64.b64encode(b"run:" + capability),
        b"DUMMY": base64.b64encode(b"__token__:" + capability),
        b"PORT": b"%d" % port,
        b"CORP": corp,
        b"WHEEL": WHEEL,
        b"SHA256": SHA256,
        b"SHA256UPPER": SHA256.upper(),
        b"FILE": FILE,
        b"KIND": KIND,
    }
    raw = raw.replace(b"{FORM}", _form({}))
    full = re.sub(rb"\{([A-Z0-9]+)\}", lambda found: known.get(found[1], found[0]), raw)
    full = re.sub(rb"\{([^{}]*)\*(\d+)\}", lambda found: found[1] * int(found[2]), full)
    _, _, body = full.partition(b"\r\n\r\n")
    return full.replace(b"{LENGTH}", b"%d" % len(body), 1)


def judge(attack: Attack, status: int, seen: list[Seen], ours: bytes, capability: bytes) -> None:
    """Hold what the tool and the indexes saw against what an attack expects.

    `ours` is the Authorization that the relay adds, which goes with every request but in no other way.
    """
    assert attack.status in {None, status}
    assert len(seen) == (0 if attack.expect == "nothing" else attack.times), seen
    assert attack.expect == "nothing" or attack.status or status < 400
    for request in seen:
        flat = b"\n".join([request.target, *(b"%b: %b" % pair for pair in request.headers)])
        whole = flat + b"\n" + request.body
        own = [value for name, value in request.headers if name.lower() == b"authorization"]
        assert own == ([] if attack.bare else [TOOLS_OWN] if attack.own else [ours])
        assert (attack.own or attack.bare) is (ours not in whole)
        assert [v for n, v in request.headers if n.lower() == b"host"] == [request.authority]
        assert capability not in whole
        assert base64.b64encode(b"__token__:" + capability) not in whole
        assert all(text in whole for text in attack.there)
        assert not any(text in whole for text in attack.gone)
        if attack.expect == "rewritten":
            assert request.method == b"POST"
            assert_is_the_upload(request)


def assert_is_the_upload(request: Seen) -> None:
    """Hold that every index reads in a form the one upload that the run may make."""
    (kind,) = (value for name, value in request.headers if name.lower() == b"content-type")
    fields, file, content = read_upload(kind, request.body)
    assert canonicalize_name(fields["name"].decode()) == "mine"
    assert (fields["version"], file.encode(), content) == (b"1.9", FILE, WHEEL)


def _attack(way: str, values: dict[str, Any]) -> Attack:
    return Attack(
        name=values["name"],
        way=way,
        expect=values["expect"],
        raw=_bytes(values["send"].lstrip("\n")) if "send" in values else _composed(way, values),
        inside=_bytes(values.get("inside", "GET /simple/ HTTP/1.1\nHost: index.example\n\n")),
        to=values.get("to", "index.example:443"),
        status=values.get("status"),
        there=tuple(fill(_bytes(text), b"", 0) for text in values.get("there", [])),
        gone=tuple(map(_bytes, values.get("gone", []))),
        own=values.get("own", False),
        bare=values.get("bare", False),
        times=values.get("times", 1),
        sni=values.get("sni"),
        early=_bytes(values.get("early", "")),
        pieces=values.get("pieces", 0),
    )


def _composed(way: str, values: dict[str, Any]) -> bytes:
    form = values.get("form")
    body = b"" if form is None else _form(form)
    target = _bytes(values.get("target", "/simple/" if form is None else "/"))
    host = values.get("to", "index.example:443").removesuffix(":443")
    lines = [f"Host: {host}".encode()] if way == "tunnel" else [b"Host: 127.0.0.1:{PORT}"]
    if way == "reverse":
        target = b"{CORP}" + target
        lines.append(b"Authorization: Basic {DUMMY}")
    if "hosts" in values:
        lines[:1] = [b"Host: " + _bytes(host) for host in values["hosts"]]
    if form is not None:
        lines.append(b"Content-Type: " + _bytes(form.get("type", "{KIND}")))
        if form.get("chunked"):
            lines.append(b"Transfer-Encoding: chunked")
            body = fill(body, b"", 0)
            trailers = b"".join(_bytes(line) + b"\r\n" for line in form.get("trailers", []))
            body = b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, trailers)
        elif form.get("length", True):
            lines.append(b"Content-Length: {LENGTH}")
    lines += map(_bytes, values.get("headers", []))
    method = _bytes(values.get("method", "GET" if form is None else "POST"))
    front = b"%b %b %b\r\n" % (method, target, _bytes(values.get("version", "HTTP/1.1")))
    return front + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def _form(form: dict[str, Any]) -> bytes:
    changed = {_bytes(name): _bytes(value) for name, value in form.get("set", {}).items()}
    dropped = {_bytes(name) for name in form.get("drop", [])}
    fields = [(name, changed.get(name, value)) for name, value in FIELDS if name not in dropped]
    parts: list[tuple[bytes, ...]] = [
        *(tuple(map(_bytes, part)) for part in form.get("first", [])),
        *fields,
        *(
            []
            if b"content" in dropped
            else [(b"content", WHEEL, _bytes(form.get("file", "{FILE}")))]
        ),
        *(tuple(map(_bytes, part)) for part in form.get("last", [])),
    ]
    whole = b"".join(_part(*part) for part in parts) + b"--%b--\r\n" % BOUNDARY
    for old, new in form.get("edit", []):
        assert _bytes(old) in whole
        whole = whole.replace(_bytes(old), _bytes(new))
    return _bytes(form.get("before", "")) + whole + _bytes(form.get("after", ""))


def _part(name: bytes, value: bytes, file: bytes | None = None) -> bytes:
    named = b"" if file is None else b'; filename="%b"' % file
    kind = b"" if file is None else b"\r\nContent-Type: application/octet-stream"
    front = b'--%b\r\nContent-Disposition: form-data; name="%b"%b%b' % (BOUNDARY, name, named, kind)
    return front + b"\r\n\r\n" + value + b"\r\n"


_ESCAPES = {b"r": b"\r", b"n": b"\n", b"0": b"\0", b"t": b"\t", b"\\": b"\\"}


def _bytes(text: str) -> bytes:
    """Read the text of an attack: ends of lines as CR LF, then the escapes."""
    raw = text.replace("\n", "\r\n").encode("latin-1")

    def one(found: re.Match[bytes]) -> bytes:
        return bytes.fromhex(found[2].decode()) if found[2] else _ESCAPES[found[1]]

    return re.sub(rb"\\(x([0-9A-Fa-f]{2})|[rn0t\\])", one, raw)
