"""A line of the audit log, written and read. docs/AUDIT.md is normative.

    {"chain":"...","n":7,"time":"2026-01-31T12:00:00Z","event":"fetch",...,"mac":"..."}

ASCII, one JSON object, and the MAC stands last: it is of every byte before its comma. Pure.

Whatever stands in a line is text of others, a stranger's at a shared socket too. So it is bounded
here, as it is encoded (one byte of theirs may take six), and no line is longer than `LINE_BYTES`:
a longer one could not be told from what somebody put there, and would push others out of the log.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from time import gmtime, strftime
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

LINE_BYTES: Final = 8 * 1024
"""No line is longer."""

READ_BYTES: Final = 64 * 1024
"""A longer line was written by no agent, those included that bounded nothing."""

_WHO_BYTES: Final = 3 * 1024
_SAID_BYTES: Final = (
    4608  # a service and a user name of ordinary letters, the longest, and the rest
)

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


def encoded(fields: Mapping[str, object], most: int = _WHO_BYTES) -> str:
    """Return an object as JSON in ASCII, of at most so many bytes.

    Where it would be longer, its longest texts and arrays lose their ends, and `cut` says so.
    """
    text = _ENCODE(fields)
    limit = most
    while len(text) > most and limit:
        limit //= 2
        text = _ENCODE({**{key: _cut(value, limit) for key, value in fields.items()}, "cut": True})
    return text


def _cut(value: object, limit: int) -> object:
    """Return as much of a value, from its beginning, as takes so many bytes at most."""
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


def moment(wall: int) -> str:
    """Return seconds since 1970 as a line has them: `2026-01-31T12:00:00Z`."""
    return strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(wall))


def unsigned(
    chain: str,
    n: int,
    time: str,
    event: str,
    who: str,
    fields: Mapping[str, object],
    own: Mapping[str, object],
) -> bytes:
    """Return a line up to its MAC, whose `fields` are cut where they are too long.

    `who` is an `encoded` object, or "" for nobody; `own` is what the log says of itself.
    """
    text = f'{{"chain":"{chain}","n":{n},"time":"{time}","event":"{event}"'
    if who:
        text += f',"who":{who}'
    if fields:
        text += f",{encoded(fields, _SAID_BYTES)[1:-1]}"
    if own:
        text += f",{_ENCODE(own)[1:-1]}"
    return text.encode()


def whole(unsigned_line: bytes, mac: bytes) -> bytes:
    """Return a line with its MAC and its end."""
    return b'%b,"mac":"%b"}\n' % (unsigned_line, mac.hex().encode())


def read(data: bytes, file: int, at: int) -> Line | None:
    """Read one line, without its end; None if it is none."""
    found = _SIGNED.fullmatch(data) if len(data) <= READ_BYTES else None
    if found is None:
        return None
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return None
    signed, chain, n, mac = found.groups()
    return Line(file, at, chain.decode(), int(n), signed, bytes.fromhex(mac.decode()), values)
