"""Tokens as pypi.org and test.pypi.org make and check them: macaroons, version 2, binary.

The chain of HMACs is that of libmacaroons: the first key is the root key's HMAC under a fixed one,
and each signature is the key of the next.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

_VERSION, _LOCATION, _IDENTIFIER, _SIGNATURE, _END = 2, 1, 2, 6, b"\x00"
_GENERATOR = b"macaroons-key-generator"


def token_of(location: str, identifier: str = "an identifier", key: bytes = b"nobody's") -> str:
    """Return a token that `location` made with its root key; without one, nobody would accept it."""
    body = bytes([_VERSION])
    body += _field(_LOCATION, location.encode()) + _field(_IDENTIFIER, identifier.encode())
    signature = _signed(_signed(_GENERATOR, key), identifier.encode())
    body += 2 * _END + _field(_SIGNATURE, signature)
    return "pypi-" + base64.urlsafe_b64encode(body).decode().rstrip("=")


def caveats_of(token: str, key: bytes) -> list[bytes] | None:
    """Return the caveats of a token that the holder of the root key made, None for any other."""
    try:
        text = token.removeprefix("pypi-")
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        parts, at = _section(data, 1)
        signature = _signed(_signed(_GENERATOR, key), parts[_IDENTIFIER])
        caveats = []
        while data[at : at + 1] != _END:
            parts, at = _section(data, at)
            caveats.append(parts[_IDENTIFIER])
            signature = _signed(signature, caveats[-1])
        said = data[at + 3 :]
    except (ValueError, LookupError):
        return None
    return caveats if hmac.compare_digest(said, signature) else None


def _signed(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()


def _field(kind: int, data: bytes) -> bytes:
    return bytes((kind, len(data))) + data


def _section(data: bytes, at: int) -> tuple[dict[int, bytes], int]:
    """Read the fields up to the end of a section; return them, and where the next one begins."""
    fields = {}
    while data[at : at + 1] != _END:
        kind, at = data[at], at + 1
        size = shift = 0
        while True:
            size |= (data[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if data[at - 1] < 0x80:
                break
        fields[kind], at = data[at : at + size], at + size
    return fields, at + 1
