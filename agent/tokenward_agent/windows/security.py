"""The security descriptor that admits one user only.

The descriptor names its owner, since the objects of an elevated process would otherwise belong to
all administrators, and its list is protected, so that it inherits nothing. It has one entry: this
user may do everything. SYSTEM and administrators can take access all the same; the list does not
grant it.
"""

from __future__ import annotations

import sys

assert sys.platform == "win32"

import ctypes
import weakref
from ctypes import c_void_p, wintypes

from tokenward_os.windows import calls
from tokenward_os.windows.calls import take_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_SDDL_REVISION: Final = 1
_KERNEL_OBJECT: Final = 6
_OWNER_AND_DACL: Final = 1 | 4


def single_user_sddl(sid: str) -> str:
    """Return the security descriptor of an object that only its owner may use (SDDL)."""
    return f"O:{sid}D:P(A;;GA;;;{sid})"


class Descriptor:
    """A security descriptor, made of its text, with the attributes that pass it to a call."""

    def __init__(self, sddl: str) -> None:
        """Create it. Raises OSError for an invalid text."""
        made = c_void_p()
        if not calls.text_to_descriptor(sddl, _SDDL_REVISION, made, None):
            raise calls.last_error()
        self.address = made.value
        self._free = weakref.finalize(self, calls.local_free, made.value)
        size = ctypes.sizeof(calls.SecurityAttributes)
        self.attributes = calls.SecurityAttributes(size, made, False)


def descriptor_of(handle: int) -> str:
    """Return owner and access list of a handle's object, as SDDL. Raises OSError."""
    found = c_void_p()
    code = calls.security_info(
        handle, _KERNEL_OBJECT, _OWNER_AND_DACL, None, None, None, None, found
    )
    if code:
        raise ctypes.WinError(code)
    try:
        text = wintypes.LPWSTR()
        if not calls.descriptor_to_text(found, _SDDL_REVISION, _OWNER_AND_DACL, text, None):
            raise calls.last_error()
        return take_text(text)
    finally:
        calls.local_free(found)
