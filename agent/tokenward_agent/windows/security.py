"""Whose a process and a pipe are, and the descriptor that lets one user in and nobody else.

The descriptor names its owner, since what an elevated process makes would belong to all
administrators, and its list is protected, so that nothing is inherited into it. One entry: this
user may do everything. SYSTEM and administrators can take what they like all the same; they are
not invited.
"""

from __future__ import annotations

import sys

assert sys.platform == "win32"

import ctypes
import weakref
from ctypes import c_void_p, wintypes

from tokenward_agent.windows import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_TOKEN_QUERY: Final = 8
_TOKEN_USER: Final = 1
_SDDL_REVISION: Final = 1
_KERNEL_OBJECT: Final = 6
_OWNER_AND_DACL: Final = 1 | 4


def own_sid() -> str:
    """Return the SID of this process' user, as text. Raises OSError."""
    token = wintypes.HANDLE()
    if not calls.open_process_token(calls.current_process(), _TOKEN_QUERY, token):
        raise calls.failed()
    try:
        size = wintypes.DWORD()
        calls.token_information(token, _TOKEN_USER, None, 0, size)
        user = ctypes.create_string_buffer(size.value)
        if not calls.token_information(token, _TOKEN_USER, user, size, size):
            raise calls.failed()
        # TOKEN_USER begins with the pointer to the SID, which lies behind it in the same buffer.
        sid = c_void_p.from_buffer(user)
        text = wintypes.LPWSTR()
        if not calls.sid_to_text(sid, text):
            raise calls.failed()
        return _taken(text)
    finally:
        calls.close_handle(token)


def one_user(sid: str) -> str:
    """Return the descriptor of what belongs to one user and is for that user alone (SDDL)."""
    return f"O:{sid}D:P(A;;GA;;;{sid})"


class Descriptor:
    """A security descriptor, made of its text, with the attributes that hand it to a call."""

    def __init__(self, sddl: str) -> None:
        """Make it. Raises OSError for what is no descriptor."""
        made = c_void_p()
        if not calls.text_to_descriptor(sddl, _SDDL_REVISION, made, None):
            raise calls.failed()
        self.address = made.value
        self._free = weakref.finalize(self, calls.local_free, made.value)
        size = ctypes.sizeof(calls.SecurityAttributes)
        self.attributes = calls.SecurityAttributes(size, made, False)


def descriptor_of(handle: int) -> str:
    """Return owner and access list of what a handle is of, as SDDL. Raises OSError."""
    found = c_void_p()
    code = calls.security_info(
        handle, _KERNEL_OBJECT, _OWNER_AND_DACL, None, None, None, None, found
    )
    if code:
        raise ctypes.WinError(code)
    try:
        text = wintypes.LPWSTR()
        if not calls.descriptor_to_text(found, _SDDL_REVISION, _OWNER_AND_DACL, text, None):
            raise calls.failed()
        return _taken(text)
    finally:
        calls.local_free(found)


def _taken(text: wintypes.LPWSTR) -> str:
    """Return a text that Windows made for us, and give it back."""
    try:
        return text.value or ""
    finally:
        calls.local_free(text)
