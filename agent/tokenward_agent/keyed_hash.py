"""HMAC-SHA256 that leaves no copies: key and result lie in the caller's memory only.

The standard library returns a new object and leaves the result's bytes on the stack. So the object
is overwritten before it is freed, and a second hash, of a fixed input, overwrites the same places
of the stack. OpenSSL wipes its own state; tests/security checks that instead of trusting it.
"""

from __future__ import annotations

import ctypes
import hmac

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

SIZE: Final = 32
_NOTHING: Final = bytes(SIZE)
_DATA: Final = bytes.__basicsize__ - 1
"""Offset of a bytes object's data behind its head; the last byte of the size is a NUL."""


def mac_into(key: memoryview, message: bytes, out: memoryview) -> None:
    """Write the 32 bytes of HMAC-SHA256 to *out*, which may be *key*."""
    digest = hmac.digest(key, message, "sha256")
    out[:] = digest
    ctypes.memset(id(digest) + _DATA, 0, SIZE)
    hmac.digest(_NOTHING, message, "sha256")


# A first call resolves symbols, which saves registers on the stack: make it without a secret.
mac_into(memoryview(bytearray(SIZE)), b"", memoryview(bytearray(SIZE)))
