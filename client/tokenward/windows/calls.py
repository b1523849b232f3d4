"""The calls of Windows that the client makes, each with its types; nothing else loads a DLL of it.

Sources: learn.microsoft.com, the page of each function; names and numbers as in the headers. A call
that fails is an OSError with Windows' own sentence (`failed`).
"""

from __future__ import annotations

import sys

assert sys.platform == "win32"

import ctypes
from ctypes import POINTER, c_int, c_ulong, c_void_p, wintypes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

DWORD, BOOL, HANDLE = wintypes.DWORD, wintypes.BOOL, wintypes.HANDLE
INVALID_HANDLE: Final = c_void_p(-1).value
ERROR_BROKEN_PIPE: Final = 109
ERROR_PIPE_BUSY: Final = 231
ERROR_NO_DATA: Final = 232
ERROR_PIPE_NOT_CONNECTED: Final = 233
ERROR_IO_PENDING: Final = 997
WAIT_TIMEOUT: Final = 258


class Overlapped(ctypes.Structure):
    """OVERLAPPED of minwinbase.h."""

    _fields_ = (
        ("Internal", c_void_p),
        ("InternalHigh", c_void_p),
        ("Offset", DWORD),
        ("OffsetHigh", DWORD),
        ("hEvent", HANDLE),
    )


def failed() -> OSError:
    """Return what the last call of this thread failed with."""
    return ctypes.WinError(ctypes.get_last_error())


_kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
_advapi32 = ctypes.WinDLL("advapi32", use_last_error=True)


def _call(library: ctypes.WinDLL, name: str, result: Any, *arguments: Any) -> Any:
    found = getattr(library, name)
    found.restype = result
    found.argtypes = arguments
    return found


# Handles and processes.
close_handle = _call(_kernel32, "CloseHandle", BOOL, HANDLE)
local_free = _call(_kernel32, "LocalFree", c_void_p, c_void_p)
current_process = _call(_kernel32, "GetCurrentProcess", HANDLE)
open_process = _call(_kernel32, "OpenProcess", HANDLE, DWORD, BOOL, DWORD)
wait = _call(_kernel32, "WaitForSingleObject", DWORD, HANDLE, DWORD)

# Pipes and the console.
create_file = _call(
    _kernel32,
    "CreateFileW",
    *(HANDLE, wintypes.LPCWSTR, DWORD, DWORD, c_void_p, DWORD, DWORD, HANDLE),
)
wait_named_pipe = _call(_kernel32, "WaitNamedPipeW", BOOL, wintypes.LPCWSTR, DWORD)
create_event = _call(_kernel32, "CreateEventW", HANDLE, c_void_p, BOOL, BOOL, wintypes.LPCWSTR)
read_file = _call(
    _kernel32, "ReadFile", BOOL, HANDLE, c_void_p, DWORD, POINTER(DWORD), POINTER(Overlapped)
)
write_file = _call(
    _kernel32, "WriteFile", BOOL, HANDLE, c_void_p, DWORD, POINTER(DWORD), POINTER(Overlapped)
)
overlapped_result = _call(
    _kernel32, "GetOverlappedResult", BOOL, HANDLE, POINTER(Overlapped), POINTER(DWORD), BOOL
)
cancel_io = _call(_kernel32, "CancelIoEx", BOOL, HANDLE, POINTER(Overlapped))
console_mode = _call(_kernel32, "GetConsoleMode", BOOL, HANDLE, POINTER(DWORD))
set_console_mode = _call(_kernel32, "SetConsoleMode", BOOL, HANDLE, DWORD)

# Whose something is.
open_process_token = _call(_advapi32, "OpenProcessToken", BOOL, HANDLE, DWORD, POINTER(HANDLE))
token_information = _call(
    _advapi32, "GetTokenInformation", BOOL, HANDLE, c_int, c_void_p, DWORD, POINTER(DWORD)
)
sid_to_text = _call(_advapi32, "ConvertSidToStringSidW", BOOL, c_void_p, POINTER(wintypes.LPWSTR))
security_info = _call(
    _advapi32, "GetSecurityInfo", DWORD, HANDLE, c_int, c_ulong, *[POINTER(c_void_p)] * 5
)
