"""The calls of Windows, each with its types. A DLL that only one module needs is loaded there.

Sources: learn.microsoft.com, the page of each function; names and numbers as in the headers. A call
that fails is an OSError with Windows' own sentence (`last_error`).
"""

from __future__ import annotations

import sys

assert sys.platform == "win32"

import ctypes
from ctypes import POINTER, c_int, c_size_t, c_ulong, c_void_p, wintypes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

DWORD, BOOL, HANDLE = wintypes.DWORD, wintypes.BOOL, wintypes.HANDLE
INVALID_HANDLE: Final = c_void_p(-1).value
ERROR_ACCESS_DENIED: Final = 5
ERROR_SHARING_VIOLATION: Final = 32
ERROR_BROKEN_PIPE: Final = 109
ERROR_ALREADY_EXISTS: Final = 183
ERROR_PIPE_BUSY: Final = 231
ERROR_NO_DATA: Final = 232
ERROR_PIPE_NOT_CONNECTED: Final = 233
ERROR_IO_PENDING: Final = 997
WAIT_TIMEOUT: Final = 258
PROCESS_QUERY_LIMITED_INFORMATION: Final = 0x1000


_kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
_advapi32 = ctypes.WinDLL("advapi32", use_last_error=True)
_TOKEN_QUERY: Final = 8
_TOKEN_USER: Final = 1
_KERNEL_OBJECT: Final = 6
_OWNER: Final = 1


class SecurityAttributes(ctypes.Structure):
    """SECURITY_ATTRIBUTES of minwinbase.h."""

    _fields_ = (("nLength", DWORD), ("lpSecurityDescriptor", c_void_p), ("bInheritHandle", BOOL))


class Overlapped(ctypes.Structure):
    """OVERLAPPED of minwinbase.h."""

    _fields_ = (
        ("Internal", c_void_p),
        ("InternalHigh", c_void_p),
        ("Offset", DWORD),
        ("OffsetHigh", DWORD),
        ("hEvent", HANDLE),
    )


def last_error() -> OSError:
    """Return the error of this thread's last call."""
    return ctypes.WinError(ctypes.get_last_error())


def typed(library: ctypes.WinDLL, name: str, result: Any, *arguments: Any) -> Any:
    """Return a function of a DLL with its types."""
    found = getattr(library, name)
    found.restype = result
    found.argtypes = arguments
    return found


# Handles and processes.
close_handle = typed(_kernel32, "CloseHandle", BOOL, HANDLE)
local_free = typed(_kernel32, "LocalFree", c_void_p, c_void_p)
current_process = typed(_kernel32, "GetCurrentProcess", HANDLE)
open_process = typed(_kernel32, "OpenProcess", HANDLE, DWORD, BOOL, DWORD)
wait = typed(_kernel32, "WaitForSingleObject", DWORD, HANDLE, DWORD)
process_times = typed(_kernel32, "GetProcessTimes", BOOL, HANDLE, *[POINTER(wintypes.FILETIME)] * 4)
image_name = typed(
    _kernel32, "QueryFullProcessImageNameW", *(BOOL, HANDLE, DWORD, wintypes.LPWSTR, POINTER(DWORD))
)
debugger_present = typed(_kernel32, "CheckRemoteDebuggerPresent", BOOL, HANDLE, POINTER(BOOL))
set_error_mode = typed(_kernel32, "SetErrorMode", DWORD, DWORD)


# Files.
create_file = typed(
    _kernel32,
    "CreateFileW",
    *(HANDLE, wintypes.LPCWSTR, DWORD, DWORD, c_void_p, DWORD, DWORD, HANDLE),
)
_move_file = typed(_kernel32, "MoveFileExW", BOOL, wintypes.LPCWSTR, wintypes.LPCWSTR, DWORD)


def hold_folder(path: str) -> int:
    """Open a folder so that it cannot be moved or removed meanwhile. Raises OSError."""
    # FILE_LIST_DIRECTORY, to be read and written in by all; existing, FILE_FLAG_BACKUP_SEMANTICS.
    handle: int = create_file(path, 1, 1 | 2, None, 3, 0x02000000, None)
    if handle == INVALID_HANDLE:
        raise last_error()
    return handle


def move_file(source: str, target: str) -> None:
    """Rename a file, over an existing one, and write that to the disk. Raises OSError."""
    if not _move_file(source, target, 1 | 8):  # MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH
        raise last_error()


_create_mutex = typed(
    _kernel32, "CreateMutexW", HANDLE, POINTER(SecurityAttributes), BOOL, wintypes.LPCWSTR
)


def create_mutex(name: str, attributes: SecurityAttributes) -> int | None:
    """Make a mutex of this name; return None if it exists. Raises OSError."""
    handle: int = _create_mutex(attributes, False, name)
    if not handle:
        raise last_error()
    if ctypes.get_last_error() == ERROR_ALREADY_EXISTS:
        close_handle(handle)
        return None
    return handle


# Milliseconds since the machine started, sleep included, and units of 100 ns without sleep.
tick_count = typed(_kernel32, "GetTickCount64", ctypes.c_uint64)
unbiased_time = typed(_kernel32, "QueryUnbiasedInterruptTime", BOOL, POINTER(ctypes.c_uint64))


def asleep_seconds() -> float:
    """Return seconds that the machine has slept since it started, or fewer."""
    asleep_too, awake = float(tick_count()) / 1000, ctypes.c_uint64()
    if not unbiased_time(awake):  # read last: this process may be stopped in between
        return 0.0
    return max(asleep_too - awake.value / 10_000_000, 0.0)


# Memory.
working_set = typed(_kernel32, "SetProcessWorkingSetSize", BOOL, HANDLE, c_size_t, c_size_t)
virtual_lock = typed(_kernel32, "VirtualLock", BOOL, c_void_p, c_size_t)

# Pipes.
create_named_pipe = typed(
    _kernel32,
    "CreateNamedPipeW",
    *(HANDLE, wintypes.LPCWSTR, DWORD, DWORD, DWORD, DWORD, DWORD, DWORD),
    POINTER(SecurityAttributes),
)
peek_named_pipe = typed(
    _kernel32,
    "PeekNamedPipe",
    *(BOOL, HANDLE, c_void_p, DWORD, POINTER(DWORD), POINTER(DWORD), POINTER(DWORD)),
)
wait_named_pipe = typed(_kernel32, "WaitNamedPipeW", BOOL, wintypes.LPCWSTR, DWORD)
pipe_client = typed(_kernel32, "GetNamedPipeClientProcessId", BOOL, HANDLE, POINTER(c_ulong))
create_event = typed(_kernel32, "CreateEventW", HANDLE, c_void_p, BOOL, BOOL, wintypes.LPCWSTR)
read_file = typed(
    _kernel32, "ReadFile", BOOL, HANDLE, c_void_p, DWORD, POINTER(DWORD), POINTER(Overlapped)
)
write_file = typed(
    _kernel32, "WriteFile", BOOL, HANDLE, c_void_p, DWORD, POINTER(DWORD), POINTER(Overlapped)
)
overlapped_result = typed(
    _kernel32, "GetOverlappedResult", BOOL, HANDLE, POINTER(Overlapped), POINTER(DWORD), BOOL
)
cancel_io = typed(_kernel32, "CancelIoEx", BOOL, HANDLE, POINTER(Overlapped))

disconnect = typed(_kernel32, "DisconnectNamedPipe", BOOL, HANDLE)

# The console.
console_mode = typed(_kernel32, "GetConsoleMode", BOOL, HANDLE, POINTER(DWORD))
set_console_mode = typed(_kernel32, "SetConsoleMode", BOOL, HANDLE, DWORD)

# Owners.
open_process_token = typed(_advapi32, "OpenProcessToken", BOOL, HANDLE, DWORD, POINTER(HANDLE))
token_information = typed(
    _advapi32, "GetTokenInformation", BOOL, HANDLE, c_int, c_void_p, DWORD, POINTER(DWORD)
)
sid_to_text = typed(_advapi32, "ConvertSidToStringSidW", BOOL, c_void_p, POINTER(wintypes.LPWSTR))
text_to_descriptor = typed(
    _advapi32,
    "ConvertStringSecurityDescriptorToSecurityDescriptorW",
    *(BOOL, wintypes.LPCWSTR, DWORD, POINTER(c_void_p), POINTER(c_ulong)),
)
descriptor_to_text = typed(
    _advapi32,
    "ConvertSecurityDescriptorToStringSecurityDescriptorW",
    *(BOOL, c_void_p, DWORD, DWORD, POINTER(wintypes.LPWSTR), POINTER(c_ulong)),
)
security_info = typed(
    _advapi32, "GetSecurityInfo", DWORD, HANDLE, c_int, DWORD, *[POINTER(c_void_p)] * 5
)
set_kernel_object_security = typed(
    _advapi32, "SetKernelObjectSecurity", BOOL, HANDLE, DWORD, c_void_p
)

# Jobs, which end with all processes in them.
create_job = typed(_kernel32, "CreateJobObjectW", HANDLE, c_void_p, wintypes.LPCWSTR)
set_job = typed(_kernel32, "SetInformationJobObject", BOOL, HANDLE, c_int, c_void_p, DWORD)
assign_to_job = typed(_kernel32, "AssignProcessToJobObject", BOOL, HANDLE, HANDLE)
end_job = typed(_kernel32, "TerminateJobObject", BOOL, HANDLE, c_ulong)


def own_sid() -> str:
    """Return the SID of this process' user, as text. Raises OSError."""
    token = wintypes.HANDLE()
    if not open_process_token(current_process(), _TOKEN_QUERY, token):
        raise last_error()
    try:
        size = wintypes.DWORD()
        token_information(token, _TOKEN_USER, None, 0, size)
        user = ctypes.create_string_buffer(size.value)
        if not token_information(token, _TOKEN_USER, user, size, size):
            raise last_error()
        return _sid_text(
            c_void_p.from_buffer(user)
        )  # TOKEN_USER begins with the pointer to the SID
    finally:
        close_handle(token)


def owner_of(handle: int) -> str:
    """Return the SID of the owner of a handle's object, as text. Raises OSError."""
    owner, descriptor = c_void_p(), c_void_p()
    code = security_info(handle, _KERNEL_OBJECT, _OWNER, owner, None, None, None, descriptor)
    if code:
        raise ctypes.WinError(code)
    try:
        return _sid_text(owner)
    finally:
        local_free(descriptor)


def _sid_text(sid: c_void_p) -> str:
    text = wintypes.LPWSTR()
    if not sid_to_text(sid, text):
        raise last_error()
    return take_text(text)


def take_text(text: wintypes.LPWSTR) -> str:
    """Return a text that Windows allocated, and free it."""
    try:
        return text.value or ""
    finally:
        local_free(text)
