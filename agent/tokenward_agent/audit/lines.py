"""A line of the audit log, written and read. docs/AUDIT.md is normative.

    {"chain":"...","n":7,"time":"2026-01-31T12:00:00Z","event":"fetch",...,"mac":"..."}

ASCII, one JSON object, and the MAC stands last: it is of every byte before its comma. Pure.
"""

from __future__ import annotations

import json
import re
from time import gmtime, strftime
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

LINE_BYTES: Final = 16 * 1024
"""A longer line was not written by an agent."""

_ENCODE: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_SIGNED: Final = re.compile(
    rb'(\{"chain":"([0-9a-f]{16})","n":([1-9][0-9]{0,15}),.*),"mac":"([0-9a-f]{64})"\}'
)


class Line(NamedTuple):
    """A line as it was read: which of its chain it is, what was signed, and all of its values.

    `file` is the number of the file that it stands in, `at` its number there, from one.
    """

    file: int
    at: int
    chain: str
    n: int
    signed: bytes
    mac: bytes
    values: dict[str, Any]


def encoded(fields: Mapping[str, object]) -> str:
    """Return an object as JSON in ASCII."""
    return _ENCODE(fields)


def moment(wall: int) -> str:
    """Return seconds since 1970 as a line has them: `2026-01-31T12:00:00Z`."""
    return strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(wall))


def unsigned(
    chain: str, n: int, time: str, event: str, who: str, fields: Mapping[str, object]
) -> bytes:
    """Return a line up to its MAC. `who` is a JSON object, or "" for nobody."""
    text = f'{{"chain":"{chain}","n":{n},"time":"{time}","event":"{event}"'
    if who:
        text += f',"who":{who}'
    if fields:
        text += f",{_ENCODE(fields)[1:-1]}"
    return text.encode()


def whole(unsigned_line: bytes, mac: bytes) -> bytes:
    """Return a line with its MAC and its end."""
    return b'%b,"mac":"%b"}\n' % (unsigned_line, mac.hex().encode())


def read(data: bytes, file: int, at: int) -> Line | None:
    """Read one line, without its end; None if it is none."""
    found = _SIGNED.fullmatch(data) if len(data) <= LINE_BYTES else None
    if found is None:
        return None
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return None
    signed, chain, n, mac = found.groups()
    return Line(file, at, chain.decode(), int(n), signed, bytes.fromhex(mac.decode()), values)
