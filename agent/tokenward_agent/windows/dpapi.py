"""DPAPI: bytes that Windows opens for this user on this machine, and for nobody else.

Whatever runs as this user can have them opened too. The purpose that is bound to them is no secret;
it keeps what was protected for this from being taken for anything else.
"""

from __future__ import annotations

import sys

assert sys.platform == "win32"

import ctypes

from tokenward_agent.windows import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_PURPOSE: Final = b"tokenward vault key"
_ASK_NOBODY: Final = 1  # CRYPTPROTECT_UI_FORBIDDEN


def protect(secret: memoryview) -> bytes:
    """Return *secret* as only this user can have it opened. Raises OSError."""
    memory = ctypes.c_char.from_buffer(secret)
    given = calls.Blob(len(secret), ctypes.addressof(memory))
    made = calls.Blob()
    if not calls.protect(given, None, _bound(), None, None, _ASK_NOBODY, made):
        raise calls.failed()
    try:
        return ctypes.string_at(made.pbData, made.cbData)
    finally:
        calls.local_free(made.pbData)


def open_into(protected: bytes, out: memoryview) -> int:
    """Open what `protect` returned into *out*; return how many bytes. Raises OSError, ValueError."""
    held = ctypes.create_string_buffer(protected, len(protected))
    given = calls.Blob(len(protected), ctypes.addressof(held))
    found = calls.Blob()
    if not calls.unprotect(given, None, _bound(), None, None, _ASK_NOBODY, found):
        raise calls.failed()
    try:
        if found.cbData > len(out):
            raise ValueError("what was protected is longer than its place")
        ctypes.memmove(ctypes.addressof(ctypes.c_char.from_buffer(out)), found.pbData, found.cbData)
        return int(found.cbData)
    finally:
        ctypes.memset(found.pbData, 0, found.cbData)
        calls.local_free(found.pbData)


def _bound() -> calls.Blob:
    return calls.Blob(len(_PURPOSE), ctypes.cast(ctypes.c_char_p(_PURPOSE), ctypes.c_void_p))
