"""Read one request from the bytes in place.

Every key and every type is compared with the vocabulary before any object is made. So a secret in
the wrong place (under an unknown key, in a URL, as another type) is refused without a copy of it.
Only known arguments of the right type and size become objects.

This module knows neither what a request does nor who sent it.
"""

from __future__ import annotations

import re
from typing import TypeVar

from tokenward_protocol import WIRE_VERSION, RemoteError
from tokenward_protocol.messages import (
    COMMON,
    COUNT,
    FLAG,
    HAS_BODY,
    MAX_SERVICE,
    MAX_TEXT,
    NO_BODY,
    OPS,
    SERVICE,
    SPELLING,
    Op,
)
from tokenward_protocol.packing import Reader

_T = TypeVar("_T")

MAX_COUNT = (1 << 63) - 1

_KEYS = {
    key.encode(): (key, kind)
    for op in ({"": Op(COMMON)} | OPS).values()
    for key, kind in op.arguments.items()
}
_OPS = {name.encode(): name for name in OPS}
_URL = re.compile(
    rb"https?://(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[1-9][0-9]{0,4})?/(?:[!-\"$->@-~]*/)?"
)
"""A possible key; urls.py checks its spelling where that matters."""
_TELLING = re.compile(rb"https?://(?:[^/?#]*@|[^?#]*[?#])", re.IGNORECASE)
"""A URL with a part that may be a secret: user info, a query, a fragment."""

_SAYABLE = re.compile(rb"[a-z_-]{1,32}")
"""Unknown words that may be quoted: no token looks like this."""


class Request:
    """A request of the vocabulary; `directory` is "" if the client left it out.

    `peer` is the result of the listener's `identify_peer` for the connection, or None.
    """

    __slots__ = ("arguments", "directory", "number", "op", "peer")

    def __init__(
        self, op: str, number: int, directory: str, arguments: dict[str, str | int | bool]
    ) -> None:
        self.op, self.number, self.directory, self.arguments = op, number, directory, arguments
        self.peer: object = None

    def text(self, name: str) -> str | None:
        """Return a text argument, None if it is absent."""
        value = self.arguments.get(name)
        return value if isinstance(value, str) else None

    def count(self, name: str) -> int | None:
        """Return an integer argument, None if it is absent."""
        value = self.arguments.get(name)
        return value if isinstance(value, int) else None

    def flag(self, name: str) -> bool:
        """Return a boolean argument, False if it is absent."""
        return self.arguments.get(name) is True


class BadRequest(RemoteError):  # noqa: N818 - it is refused; whose fault it is, the base says
    """An invalid header; `number` is its id if that was read, else 0."""

    def __init__(self, code: str, message: str, number: int) -> None:
        super().__init__(code, message)
        self.number = number


def read_request(header: memoryview, body: int) -> Request:
    """Read a header in place, whose frame has `body` bytes of body. Raises BadRequest."""
    reader = Reader(header)
    found: dict[str, str | int | bool] = {}
    try:
        for _ in range(reader.size()):
            start, end = reader.span()
            known = _look_up(_KEYS, header[start:end])
            if known is None:
                raise RemoteError("bad-request", f"There is no {_quote(header[start:end], 'key')}.")
            name, kind = known
            if name in found:
                raise RemoteError("bad-header", "A header has a key twice.")
            found[name] = _read_op(reader) if name == "op" else _read_argument(reader, name, kind)
        reader.end()
        return _validate(found, body)
    except RemoteError as error:
        number = found.get("id", 0)
        raise BadRequest(error.code, str(error), int(number)) from None


def _look_up(words: dict[bytes, _T], word: memoryview) -> _T | None:
    """Look a word up without copying it: a read-only view hashes and compares like bytes."""
    return words.get(word.toreadonly())  # type: ignore[call-overload,no-any-return]  # typeshed knows only bytes as keys


def _read_op(reader: Reader) -> str:
    start, end = reader.span()
    word = reader.view[start:end]
    name = _look_up(_OPS, word)
    if name is None:
        raise RemoteError("unknown-op", f"There is no {_quote(word, 'request')}.")
    return name


def _read_argument(reader: Reader, name: str, kind: str) -> str | int | bool:
    if kind in {COUNT, FLAG}:
        code = reader.view[reader.at] if reader.at < len(reader.view) else 0xC1
        wanted = code in {0xC2, 0xC3} if kind == FLAG else code < 0x80 or 0xCC <= code <= 0xCF
        value = reader.value() if wanted else None
        if not isinstance(value, int) or value > MAX_COUNT:
            raise RemoteError("bad-request", f"The argument {name} is not a {kind}.")
        return value
    start, end = reader.span()
    if end - start > (MAX_SERVICE if kind in {SERVICE, SPELLING} else MAX_TEXT):
        raise RemoteError("too-large", f"The argument {name} is too long.")
    text = reader.view[start:end]
    if kind == SERVICE and not _URL.fullmatch(text) and re.search(rb"://", text):
        raise RemoteError("bad-request", "The service is not in its canonical spelling.")
    if kind == SPELLING and _TELLING.match(text):
        raise RemoteError("bad-request", "The service holds user info, a query or a fragment.")
    try:
        return str(text, "utf-8")
    except UnicodeDecodeError:
        pass
    raise RemoteError("bad-header", "A string in a header is not UTF-8.")


def _validate(found: dict[str, str | int | bool], body: int) -> Request:
    """Compare the header as a whole with the vocabulary."""
    if found.get("v") != WIRE_VERSION:
        raise RemoteError("version", "The agent does not speak this version of the protocol.")
    op, number = found.get("op"), found.get("id")
    if not isinstance(op, str) or not isinstance(number, int):
        missing = "op" if op is None else "id"
        raise RemoteError("bad-request", f"A request needs the key {missing}.")
    known, arguments = OPS[op], {key: found[key] for key in found if key not in COMMON}
    for name in arguments:
        if name not in known.arguments:
            raise RemoteError("bad-request", f"A {op} request has no argument {name}.")
    for name in known.required:
        if name not in arguments:
            raise RemoteError("bad-request", f"A {op} request needs the argument {name}.")
    if (known.body == NO_BODY and body) or (known.body == HAS_BODY and not body):
        has = "no" if known.body == NO_BODY else "a"
        raise RemoteError("bad-request", f"A {op} request has {has} body.")
    return Request(op, number, str(found.get("dir", "")), arguments)


def _quote(word: memoryview, noun: str) -> str:
    """Return a name for an unknown word; quote it only if it cannot be a secret."""
    return f"{noun} {str(word, 'ascii')}" if _SAYABLE.fullmatch(word) else f"such {noun}"
