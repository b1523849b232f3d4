"""By what certificates and proxies are known again that an environment names: their digests.

A login says which of them its environment names for the index; the credential keeps their *marks*,
and a run may use the same ones later. A mark is a SHA-256, and shows neither. On the wire it is
base64url, and a blank separates two. Pure.
"""

from __future__ import annotations

import base64
import hashlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

    from tokenward_protocol.proxy_url import ProxyUrl

SIZE: Final = 32
"""Bytes of a mark."""

MOST_MARKS: Final = 20
"""The most marks of one credential: its login has room for no more."""

_TEXT: Final = 43


def certificate_mark(der: bytes) -> bytes:
    """Return the mark of a certificate."""
    return hashlib.sha256(b"tokenward certificate\0" + der).digest()


def proxy_mark(proxy: ProxyUrl) -> bytes:
    """Return the mark of a proxy: its password is not in it, and may change."""
    user = b"" if proxy.user is None else proxy.user + b"@"
    place = f"{proxy.scheme}://{proxy.host}:{proxy.port}".encode()
    return hashlib.sha256(b"tokenward proxy\0" + user + place).digest()


def marks_text(marks: Iterable[bytes]) -> str:
    """Return marks as the wire has them, in their order."""
    return " ".join(base64.urlsafe_b64encode(mark).decode().rstrip("=") for mark in marks)


def read_marks(text: str) -> tuple[bytes, ...]:
    """Return the marks in a text, sorted, each once. Raises ValueError for anything else."""
    found = set()
    for word in text.split(" ") if text else ():
        if len(word) != _TEXT:
            raise ValueError("a mark has 43 characters")
        found.add(base64.b64decode(f"{word}=", b"-_", validate=True))
    if len(found) > MOST_MARKS:
        raise ValueError(f"there are at most {MOST_MARKS} marks")
    return tuple(sorted(found))
