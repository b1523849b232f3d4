"""The target of a request, read in the only way that there is.

A request is let through by its path, so the relay and the index must read the same path. Whatever
two readers could read in two ways is refused, not repaired: broken percent-coding, empty segments
before the last one, segments of dots alone (also before a `;`), and segments in which a backslash,
a percent sign, a question mark, a number sign, a control character, a blank or a byte outside of
ASCII remains after decoding.

One thing that is coded may stay: `/`, because GitLab names a project so (`group%2Fproject`). It stays
inside of its segment, each piece of which is held to the same rules, and grants.py lets such a
segment through only where a root has the very same one.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tokenward_relay.refusal import Refusal, excerpt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

MAX_TARGET: Final = 8192
"""Bytes of the longest target."""

_PATH: Final = re.compile(rb"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)+")  # RFC 3986, 3.3
_QUERY: Final = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")  # 3.4
_CODED: Final = re.compile(rb"%([0-9A-Fa-f]{2})?")
_UNCLEAR: Final = re.compile(rb"[^!-~]|[\\%?#]")


class Target(NamedTuple):
    """An origin-form target as it came, its decoded segments, and its query as it came.

    The last segment is empty behind a final slash.
    """

    raw: bytes
    segments: tuple[bytes, ...]
    query: bytes


def parse_target(raw: bytes) -> Target:
    """Read the target of a request to an index. Raises Refusal: 414 if too long, else 400."""
    if len(raw) > MAX_TARGET:
        raise Refusal(414, f"the path has more than {MAX_TARGET} bytes")
    path, _, query = raw.partition(b"?")
    if not _PATH.fullmatch(path) or not _QUERY.fullmatch(query):
        # Not quoted: a URL in its place may have a password.
        raise Refusal(400, "the target is not a path that an index can have")
    if any(pair is None for (pair,) in map(re.Match.groups, _CODED.finditer(raw))):
        raise Refusal(400, f"{excerpt(path)} has a percent sign without two digits")
    segments = tuple(map(_decode, path[1:].split(b"/")))
    inner = segments if segments[-1] else segments[:-1]
    if any(_UNCLEAR.search(segment) for segment in inner) or not all(
        map(_is_name, b"/".join(inner).split(b"/") if inner else ())
    ):
        raise Refusal(400, f"{excerpt(path)} can be read in two ways")
    return Target(raw, segments, query)


def _decode(part: bytes) -> bytes:
    return (
        _CODED.sub(lambda found: bytes.fromhex(found[1].decode()), part) if b"%" in part else part
    )


def _is_name(piece: bytes) -> bool:
    """Tell whether a segment stands for itself: some servers drop what follows a `;`."""
    return bool(piece.partition(b";")[0].strip(b"."))
