"""DPAPI: bytes that Windows opens only for this user on this machine.

Any program of this user can open them, too. The purpose that is bound to them is not a secret; it
keeps them from being used for anything else.
"""

from __future__ import annotations

import sys
from typing import Final

assert sys.platform == "win32"

import ctypes
from ctypes import POINTER, c_void_p, wintypes

from tokenward_os.windows import calls

_PURPOSE: Final = b"tokenward vault key"
_ASK_NOBODY: Final = 1  # CRYPTPROTECT_UI_FORBIDDEN


class _Blob(ctypes.Structure):
    """DATA_BLOB of wincrypt.h: a size and an address."""

    _fields_ = (("cbData", calls.DWORD), ("pbData", c_void_p))


_crypt32 = ctypes.WinDLL("crypt32", use_last_error=True)
_protect = calls.typed(
    _crypt32,
    "CryptProtectData",
    *(
        calls.BOOL,
        POINTER(_Blob),
        wintypes.LPCWSTR,
        POINTER(_Blob),
        c_void_p,
        c_void_p,
        calls.DWORD,
    ),
    POINTER(_Blob),
)
_unprotect = calls.typed(
    _crypt32,
    "CryptUnprotectData",
    *(calls.BOOL, POINTER(_Blob), c_void_p, POINTER(_Blob), c_void_p, c_void_p, calls.DWORD),
    POINTER(_Blob),
)


def protect(secret: memoryview) -> bytes:
    """Return *secret* protected, so that only this user can open it. Raises OSError."""
    memory = ctypes.c_char.from_buffer(secret)
    given = _Blob(len(secret), ctypes.addressof(memory))
    made = _Blob()
    if not _protect(given, None, _blob_of(), None, None, _ASK_NOBODY, made):
        raise calls.last_error()
    try:
        return ctypes.string_at(made.pbData, made.cbData)
    finally:
        calls.local_free(made.pbData)


def open_into(protected: bytes, out: memoryview) -> int:
    """Open what `protect` returned into *out*; return its size. Raises OSError, ValueError."""
    held = ctypes.create_string_buffer(protected, len(protected))
    given = _Blob(len(protected), ctypes.addressof(held))
    found = _Blob()
    if not _unprotect(given, None, _blob_of(), None, None, _ASK_NOBODY, found):
        raise calls.last_error()
    try:
        if found.cbData > len(out):
            raise ValueError("the protected secret is longer than its place")
        ctypes.memmove(ctypes.addressof(ctypes.c_char.from_buffer(out)), found.pbData, found.cbData)
        return int(found.cbData)
    finally:
        ctypes.memset(found.pbData, 0, found.cbData)
        calls.local_free(found.pbData)


def _blob_of() -> _Blob:
    return _Blob(len(_PURPOSE), ctypes.cast(ctypes.c_char_p(_PURPOSE), ctypes.c_void_p))
