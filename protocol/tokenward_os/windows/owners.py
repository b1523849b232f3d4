"""The owners of processes and pipes, by SID."""

from __future__ import annotations

import sys

assert sys.platform == "win32"

import ctypes
from ctypes import c_void_p, wintypes

from tokenward_os.windows import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_TOKEN_QUERY: Final = 8
_TOKEN_USER: Final = 1
_KERNEL_OBJECT: Final = 6
_OWNER: Final = 1


def own_sid() -> str:
    """Return the SID of this process' user, as text. Raises OSError."""
    token = wintypes.HANDLE()
    if not calls.open_process_token(calls.current_process(), _TOKEN_QUERY, token):
        raise calls.last_error()
    try:
        size = wintypes.DWORD()
        calls.token_information(token, _TOKEN_USER, None, 0, size)
        user = ctypes.create_string_buffer(size.value)
        if not calls.token_information(token, _TOKEN_USER, user, size, size):
            raise calls.last_error()
        return _text(c_void_p.from_buffer(user))  # TOKEN_USER begins with the pointer to the SID
    finally:
        calls.close_handle(token)


def owner_of(handle: int) -> str:
    """Return the SID of the owner of a handle's object, as text. Raises OSError."""
    owner, descriptor = c_void_p(), c_void_p()
    code = calls.security_info(handle, _KERNEL_OBJECT, _OWNER, owner, None, None, None, descriptor)
    if code:
        raise ctypes.WinError(code)
    try:
        return _text(owner)
    finally:
        calls.local_free(descriptor)


def _text(sid: c_void_p) -> str:
    text = wintypes.LPWSTR()
    if not calls.sid_to_text(sid, text):
        raise calls.last_error()
    return take_text(text)


def take_text(text: wintypes.LPWSTR) -> str:
    """Return a text that Windows allocated, and free it."""
    try:
        return text.value or ""
    finally:
        calls.local_free(text)
