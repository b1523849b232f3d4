"""A line of the audit log, written and read. docs/AUDIT.md is normative.

    {"chain":"...","n":7,"time":"2026-01-31T12:00:00Z","event":"fetch",...,"mac":"..."}

ASCII, one JSON object; the MAC stands last and covers every byte before its comma. Pure.

Other processes choose the text in a line, at a shared socket even those of other users. So the text
is bounded as it is encoded (one byte may become six), and no line is longer than `LINE_BYTES`: a
longer one could not be told from a forged one, and would push others out of the log.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from time import gmtime, strftime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

LINE_BYTES: Final = 8 * 1024  # the longest line
READ_BYTES: Final = 64 * 1024
"""No agent ever wrote a longer line, not even an old one without bounds."""

_WHO_BYTES: Final = 3 * 1024
_SAID_BYTES: Final = 4608  # the longest service and user name, of plain letters, and the rest

_ENCODE: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_SIGNED: Final = re.compile(
    rb'(\{"chain":"([0-9a-f]{16})","n":([1-9][0-9]{0,15}),.*),"mac":"([0-9a-f]{64})"\}'
)


class Line(NamedTuple):
    """A line as it was read: its place in its chain, the signed bytes, and all values.

    `file` is the number of its file, `at` its number in there, from one.
    """

    file: int
    at: int
    chain: str
    n: int
    signed: bytes
    mac: bytes
    values: dict[str, Any]


def encode_json(fields: Mapping[str, object], most: int = _WHO_BYTES) -> str:
    """Return an object as JSON in ASCII; one over `most` bytes is shortened, and gets `cut`."""
    text = _ENCODE(fields)
    limit = most
    while len(text) > most and limit:
        limit //= 2
        text = _ENCODE(
            {**{key: _shorten(value, limit) for key, value in fields.items()}, "cut": True}
        )
    return text


def _shorten(value: object, limit: int) -> object:
    """Return as much of the beginning of a value as fits into so many bytes."""
    if isinstance(value, str):
        lengths = range(len(value) + 1)
        size = bisect_right(lengths, limit, key=lambda length: len(_ENCODE(value[:length])) - 2) - 1
        return value[:size]
    if isinstance(value, list | tuple):
        kept: list[object] = []
        for each in value:
            limit -= len(_ENCODE(each)) + 1
            if limit < 0:
                break
            kept.append(each)
        return kept
    return value if len(_ENCODE(value)) <= limit else None


def timestamp(wall: int) -> str:
    """Return seconds since 1970 in the form of a line: `2026-01-31T12:00:00Z`."""
    return strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(wall))


def format_line(
    chain: str,
    n: int,
    time: str,
    event: str,
    who: str,
    fields: Mapping[str, object],
    own: Mapping[str, object],
) -> bytes:
    """Return a line up to its MAC; `fields` that are too long are cut.

    `who` is an `encode_json` object, or "" if no process asked; `own` is what the log says of itself.
    """
    text = f'{{"chain":"{chain}","n":{n},"time":"{time}","event":"{event}"'
    if who:
        text += f',"who":{who}'
    if fields:
        text += f",{encode_json(fields, _SAID_BYTES)[1:-1]}"
    if own:
        text += f",{_ENCODE(own)[1:-1]}"
    return text.encode()


def complete_line(unsigned_line: bytes, mac: bytes) -> bytes:
    """Return a line with its MAC and its line end."""
    return b'%b,"mac":"%b"}\n' % (unsigned_line, mac.hex().encode())


def read_line(data: bytes, file: int, at: int) -> Line | None:
    """Read one line, without its line end; None if it is not valid."""
    found = _SIGNED.fullmatch(data) if len(data) <= READ_BYTES else None
    if found is None:
        return None
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return None
    signed, chain, n, mac = found.groups()
    return Line(file, at, chain.decode(), int(n), signed, bytes.fromhex(mac.decode()), values)
