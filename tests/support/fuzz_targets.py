"""What a fuzzer runs: each target takes any bytes, and raises where something is not as promised.

`wire` is what the agent does with what a peer sends, held against the client's reader and the
`msgpack` package. `vault` is what it does with a file, with its header, and with what a file that
opens holds. The seeds are the vectors in tests/vectors.

`request` is what the relay lets through of a connection, `form` what an index reads in the form of an
upload, held against readers of others. Their seeds are the attacks in tests/relay/attacks.
"""

# ruff: noqa: PT017 - a refusal is one of two good outcomes, and is judged when it comes

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import msgpack
from packaging.utils import canonicalize_name

from support import TESTS
from support.relay.attacks import BOUNDARY, fill, load
from support.relay.core import CAPABILITY, GRANTS, OURS, PORT, Core, read_spool
from support.relay.readers import read_upload, readings
from tokenward_agent.vault.errors import VaultError
from tokenward_agent.vault.format import parse_body, parse_head, serialise
from tokenward_agent.vault.sealing import seal
from tokenward_agent.wire.request import BadRequest, read_request
from tokenward_protocol import RemoteError
from tokenward_protocol.frames import MAX_BODY, MAX_FRAME, PREFIX, find_frame
from tokenward_protocol.messages import CODES, OPS, make_request
from tokenward_protocol.packing import pack, unpack
from tokenward_relay.form import FormReader, RewrittenForm, check_form
from tokenward_relay.refusal import Refusal

if TYPE_CHECKING:
    from support.relay.attacks import Seen

CORP = GRANTS[0]

VECTORS = TESTS / "vectors"
_WORKED: dict[str, Any] = json.loads((VECTORS / "vault-worked.json").read_text(encoding="utf-8"))
_KEY = bytes.fromhex(_WORKED["data_key"])
_FILE = bytes.fromhex(_WORKED["file"])
_HEAD = parse_head(_FILE, "FILE")
_CHAIN = ("0" * 16, "1" * 16, 0, bytes(60), 1, 1, bytes(32))


def wire(data: bytes) -> None:
    """Take bytes as they come from a socket, frame by frame; what is left is tried as a header."""
    rest = memoryview(data)
    try:
        while (found := find_frame(rest)) is not None:
            body, end = found
            assert PREFIX <= body <= end <= len(rest)
            assert end <= 4 + MAX_FRAME
            assert end - body <= MAX_BODY
            _header(rest[PREFIX:body], end - body)
            rest = rest[end:]
    except RemoteError as error:
        assert error.code in {"bad-frame", "too-large"}
    _header(memoryview(data), 0)


def _header(header: memoryview, body: int) -> None:
    values = None
    try:
        values = unpack(header)
    except RemoteError as error:
        assert error.code == "bad-header"
    if values is not None:
        assert msgpack.unpackb(header, object_pairs_hook=_distinct, ext_hook=_none) == values
        assert pack(values) == msgpack.packb(values)
    try:
        asked = read_request(header, body)
    except BadRequest as error:
        assert error.code in CODES
        assert 0 <= error.number < 1 << 63
        return
    assert asked.op in OPS
    again: dict[str, Any] = {**asked.arguments}
    if values is not None and "dir" in values:
        again["dir"] = asked.directory
    assert values == unpack(make_request(asked.op, asked.number, again))


def _distinct(pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    assert len(found) == len(pairs)
    assert {type(key) for key in found} <= {str}
    return found


def _none(_code: int, _data: bytes) -> None:
    raise AssertionError("an extension type was let through")


def vault(data: bytes) -> None:
    """Take bytes as a file, as the header of one, and as what is sealed in one."""
    _file(data)
    _file(b"tokenward-vault 4\n" + len(data).to_bytes(4, "big") + data + bytes(12))
    front = _FILE[: _HEAD.size]
    _file(front + seal(_KEY, data, front))


def _file(data: bytes) -> None:
    try:
        head = parse_head(data, "FILE")
        records = parse_body(data, head, _KEY, "FILE")
    except VaultError as error:
        assert error.code == "vault"
        return
    again = serialise(head.header, records, _KEY)
    new = parse_head(again, "FILE")
    assert new.header == head.header
    assert parse_body(again, new, _KEY, "FILE") == records


def request(data: bytes) -> None:
    """Take bytes as they come to the relay, in a tunnel to an index and at the loopback URL."""
    for way in ("tunnel", "reverse"):
        core = Core()
        status = core.send(data, way, "devpi.example:443", b"")
        assert 0 <= status < 600
        for each in core.seen:
            _within(each)


_PLACES = {
    b"index.example": (rb"/.*", b"/"),
    b"devpi.example": (rb"/alice/dev(/.*)?|/[^/]+/[^/]+/\+[ef](/.*)?", b"/alice/dev"),
    b"127.0.0.1:8080": (rb"/team(/.*)?", b"/team"),
}
"""What may be read at each index, and where an upload goes."""


def _within(each: Seen) -> None:
    own = [value for name, value in each.headers if name == b"authorization"]
    assert CAPABILITY not in b"".join(value for _, value in each.headers)
    paths = readings(unquote_to_bytes(each.target.partition(b"?")[0]))
    if all(re.fullmatch(rb"/\+api(/.*)?", path) for path in paths):
        assert OURS not in own
        return
    below, upload = _PLACES[each.authority]
    assert own == [OURS]
    if each.method == b"POST":
        assert paths == {upload}
        _upload(dict(each.headers)[b"content-type"], each.body)
    else:
        assert each.method in {b"GET", b"HEAD"}
        assert all(re.fullmatch(below, path) for path in paths)


def form(data: bytes) -> None:
    """Take bytes as the form of an upload; what is let through is written anew and read again."""
    reader = FormReader(BOUNDARY, io.BytesIO, 1 << 20)
    try:
        for at in range(0, len(data), 50):
            reader.feed(data[at : at + 50])
        whole = reader.finish()
        judged = check_form(whole, CORP)
    except Refusal as refused:
        assert refused.status in {400, 413}
        return
    new = RewrittenForm(whole, b"0123456789abcdefghijklmnopqrstuv")
    pieces = [p if isinstance(p, bytes) else read_spool(p.spool) for p in new.parts()]
    assert sum(map(len, pieces)) == new.length
    assert _upload(new.content_type, b"".join(pieces)) == judged.file


def _upload(kind: bytes, body: bytes) -> str:
    fields, file, _ = read_upload(kind, body)
    assert canonicalize_name(fields["name"].decode()) == "mine"
    return file


TARGETS = {"wire": wire, "vault": vault, "request": request, "form": form}


def seeds(target: str) -> list[bytes]:
    """Return what a fuzzer begins with."""
    if target in {"request", "form"}:
        return _attacks(target)
    found: list[bytes] = []
    for path in VECTORS.glob(f"{target}-*.json"):
        vectors: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for each in (vectors, *vectors.get("vectors", []), *vectors.get("cases", [])):
            found += [bytes.fromhex(each[name]) for name in ("bytes", "file") if name in each]
    if target == "vault":
        found.append(_FILE[22 : _HEAD.size])
        found.append(
            msgpack.packb({"records": [tuple(r) for r in _records()], "chains": [_CHAIN]}) or b""
        )
    return found


def _records() -> list[Any]:
    return list(parse_body(_FILE, _HEAD, _KEY, "FILE").records.values())


def _attacks(target: str) -> list[bytes]:
    sent = [fill(attack.raw, CAPABILITY, PORT) for attack in load()]
    short = [raw for raw in sent if len(raw) <= 4096]
    if target == "request":
        return short
    return [raw.partition(b"\r\n\r\n")[2] for raw in short if b"--" + BOUNDARY in raw]
