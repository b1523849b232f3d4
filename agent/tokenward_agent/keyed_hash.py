"""HMAC-SHA256 that leaves nothing behind: key and result lie in the caller's memory alone.

The standard library returns a new object, and the bytes of it on the stack. So the object is
overwritten before it goes, and a hash of nothing then takes the same way over the same stack. That
the library wipes its own state (OpenSSL does) is not taken on trust: tests/security looks for it.
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
"""Where the data of a bytes object begins, after its head; the last byte of the size is a NUL."""


def mac_into(key: memoryview, message: bytes, out: memoryview) -> None:
    """Write the 32 bytes of HMAC-SHA256 to *out*, which may be *key*."""
    digest = hmac.digest(key, message, "sha256")
    out[:] = digest
    ctypes.memset(id(digest) + _DATA, 0, SIZE)
    hmac.digest(_NOTHING, message, "sha256")


# What a first call has to look up saves the processor's registers on the stack: let it be nothing.
mac_into(memoryview(bytearray(SIZE)), b"", memoryview(bytearray(SIZE)))
