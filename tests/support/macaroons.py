"""Tokens as pypi.org, test.pypi.org and devpi make and check them: macaroons, version 2, binary.

The chain of HMACs is that of libmacaroons: the first key is the root key's HMAC under a fixed one,
and each signature is the key of the next. Nothing here is ours, so that ours is held against it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

ROOT_KEY = b"the key that only an index has"
IDENTIFIER = "3b6a1c1e-6c52-4d0e-9f0a-0d1f5f3f1a10"

_VERSION, _LOCATION, _IDENTIFIER, _SIGNATURE, _END = 2, 1, 2, 6, b"\x00"
_GENERATOR = b"macaroons-key-generator"


def token_of(
    location: str,
    identifier: str = IDENTIFIER,
    *caveats: str,
    key: bytes = ROOT_KEY,
    prefix: str = "pypi-",
) -> str:
    """Return a token that `location` made with its root key; devpi's (`devpi-`) name none."""
    body = bytes([_VERSION]) + (_field(_LOCATION, location.encode()) if location else b"")
    body += _field(_IDENTIFIER, identifier.encode()) + _END
    signature = _signed(_signed(_GENERATOR, key), identifier.encode())
    for caveat in caveats:
        body += _field(_IDENTIFIER, caveat.encode()) + _END
        signature = _signed(signature, caveat.encode())
    return prefix + letters(body + _END + _field(_SIGNATURE, signature))


def letters(raw: bytes) -> str:
    """Write bytes in base64url without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def raw_of(token: str) -> bytes:
    """Return the macaroon of a token as bytes. Raises ValueError."""
    text = token.partition("-")[2]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def caveats_of(token: str, key: bytes = ROOT_KEY) -> list[str] | None:
    """Return the caveats of a token that the holder of the root key made, None for any other."""
    try:
        data = raw_of(token)
        parts, at = _section(data, 1)
        signature = _signed(_signed(_GENERATOR, key), parts[_IDENTIFIER])
        caveats = []
        while data[at : at + 1] != _END:
            parts, at = _section(data, at)
            caveats.append(parts[_IDENTIFIER].decode())
            signature = _signed(signature, parts[_IDENTIFIER])
        said = data[at + 3 :]
    except (ValueError, LookupError):
        return None
    return caveats if hmac.compare_digest(said, signature) else None


def _signed(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()


def _field(kind: int, data: bytes) -> bytes:
    size = len(data)
    length = bytes((size,)) if size < 128 else bytes((size & 127 | 128, size >> 7))
    return bytes((kind,)) + length + data


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
