"""Macaroons in the caller's memory: reads them strictly, and attenuates them by caveats.

The holder of a macaroon can append restrictions (*caveats*) to it without asking its index, and they
cannot be removed: each caveat is signed with the signature before it, which is then discarded. The
format is version 2, binary, of libmacaroons' ``doc/format.txt``::

    02 | 01 length location | 02 length identifier | 00 |
    for each caveat: 02 length data 00 | 00 | 06 20 signature (32 bytes)

with lengths in LEB128, the location optional. In a token it is in base64url after a prefix. Nothing
here makes an object of an identifier, of a signature or of the whole: reading returns positions, and
writing goes into buffers that the caller owns and wipes. The keyed hash is an argument for the same
reason.

It refuses, with a ValueError that quotes nothing of its input: missing or extra bytes, a length that is
longer than necessary, a field out of order, an empty identifier, and caveats that a third party has to
discharge, which no index uses. It has no root key, so it can neither make nor verify a macaroon.
caveats.py knows the meaning of a caveat.
"""

from __future__ import annotations

from tokenward_protocol.base64url import decode_into, decoded_size, encode_into
from tokenward_protocol.light import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Final

    Span = tuple[int, int]
    Mac = Callable[[memoryview, bytes, memoryview], None]

MAX_TOKEN: Final = 8192
"""Letters of the longest accepted token: a user's token has 179, hundreds of projects fit."""

SIGNATURE: Final = 32  # bytes of a signature: HMAC-SHA256
SPARE: Final = 3  # bytes that a buffer needs beyond those that are written into it

_LOCATION, _IDENTIFIER, _CAVEAT, _SIGNATURE = 1, 2, 2, 6
_LONGEST: Final = 1 << 14  # bytes of an appended caveat: two bytes of length


class Macaroon(Record):
    """The positions of a macaroon's parts, as (start, end); its next caveat belongs at `end`."""

    location: Span
    identifier: Span
    caveats: tuple[Span, ...]
    end: int


def parse_macaroon(raw: memoryview) -> Macaroon:
    """Read all of *raw*. Raises ValueError if it is not one macaroon and nothing else."""
    try:
        return _parse_macaroon(raw)
    except IndexError:
        raise ValueError("a macaroon is cut off") from None


def unwrap(letters: memoryview, raw: memoryview) -> tuple[Macaroon, int]:
    """Decode the *letters* of a token after its prefix into *raw* and read them.

    Returns the macaroon and its size. *raw* needs SPARE bytes more than that. Raises ValueError.
    """
    if len(letters) > MAX_TOKEN:
        raise ValueError("a token is longer than any index makes")
    size = decoded_size(len(letters))
    decode_into(letters, raw)
    return parse_macaroon(raw[:size]), size


def attenuated_size(found: Macaroon, caveats: Sequence[bytes]) -> int:
    """Return the size in bytes of a macaroon with these caveats appended. Raises ValueError."""
    return found.end + sum(map(_caveat_size, caveats)) + 3 + SIGNATURE


def attenuate(
    found: Macaroon, size: int, raw: memoryview, caveats: Sequence[bytes], mac: Mac
) -> int:
    """Append caveats to the macaroon of *size* bytes in *raw*, in place; return its new size.

    *raw* needs `attenuated_size` bytes. Raises ValueError for a caveat that is empty or too long.
    """
    grown = attenuated_size(found, caveats)
    signature = raw[grown - SIGNATURE : grown]
    signature[:] = raw[size - SIGNATURE : size]
    at = found.end
    for caveat in caveats:
        mac(signature, caveat, signature)
        whole = _caveat(caveat)
        raw[at : at + len(whole)] = whole
        at += len(whole)
    raw[at : at + 3] = bytes((0, _SIGNATURE, SIGNATURE))
    return grown


def wrap_into(raw: memoryview, parent: memoryview, same: int, out: memoryview) -> int:
    """Encode a macaroon to *out*, and return the number of letters.

    Its first *same* bytes are those of the letters *parent*, which are copied. *out* needs SPARE
    letters more than `encoded_size`.
    """
    groups = same // 3
    head = groups * 4
    out[:head] = parent[:head]
    return head + encode_into(raw[groups * 3 :], out[head:])


def plain_mac(key: memoryview, message: bytes, out: memoryview) -> None:
    """Write HMAC-SHA256 to *out*, which may be *key*. Leaves copies in memory."""
    import hmac  # loads OpenSSL, which only this needs

    out[:] = hmac.digest(key, message, "sha256")


def _parse_macaroon(raw: memoryview) -> Macaroon:
    if raw[0] != 2:
        raise ValueError("a macaroon is not of version 2")
    at, location = 1, (1, 1)
    if raw[at] == _LOCATION:
        location = _find_field(raw, at, _LOCATION)
        at = location[1]
    identifier = _find_field(raw, at, _IDENTIFIER)
    if identifier[0] == identifier[1]:
        raise ValueError("a macaroon has no identifier")
    at = _section_end(raw, identifier[1])
    caveats: list[Span] = []
    while raw[at]:
        caveats.append(_find_field(raw, at, _CAVEAT))
        at = _section_end(raw, caveats[-1][1])
    signature = _find_field(raw, at + 1, _SIGNATURE)
    if signature != (len(raw) - SIGNATURE, len(raw)):
        raise ValueError("a macaroon does not end with its signature")
    return Macaroon(location, identifier, tuple(caveats), at)


def _find_field(raw: memoryview, at: int, kind: int) -> Span:
    """Return the position of the data of the field at *at*."""
    if raw[at] != kind:
        raise ValueError("a field of a macaroon is missing or of another kind")
    length, at = raw[at + 1], at + 2
    if length > 0x7F:
        high = raw[at]
        at += 1
        if not 0 < high <= 0x7F:
            raise ValueError("a length in a macaroon is too large or written too long")
        length = length & 0x7F | high << 7
    if at + length > len(raw):
        raise ValueError("a macaroon is cut off")
    return at, at + length


def _section_end(raw: memoryview, at: int) -> int:
    if raw[at]:
        raise ValueError("a macaroon has a field where none belongs")
    return at + 1


def _caveat_size(caveat: bytes) -> int:
    if not 0 < len(caveat) < _LONGEST:
        raise ValueError("a caveat is empty or too long")
    return len(caveat) + (3 if len(caveat) <= 0x7F else 4)


def _caveat(caveat: bytes) -> bytes:
    size = len(caveat)
    length = bytes((size,)) if size <= 0x7F else bytes((size & 0x7F | 0x80, size >> 7))
    return b"%c%b%b\0" % (_CAVEAT, length, caveat)
