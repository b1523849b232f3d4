"""This process, closed to others of its user; and what can be seen of another one.

In force after `close_process`:

- the access list of the process denies reading its memory, attaching to it, duplicating its handles
  and starting a thread in it, even to its owner, who could otherwise rewrite the list. Others may
  only end it, wait for it and see which program it is;
- after a crash Windows' error reporting shows no dialog and writes no dump.

A debugger that is attached already is refused. Administrators with the privilege to debug bypass
any access list; nothing here protects against them.
"""

from __future__ import annotations

import sys

assert sys.platform == "win32"

import ctypes
from ctypes import wintypes

from tokenward_agent.windows.security import Descriptor
from tokenward_os.windows import calls
from tokenward_os.windows.calls import own_sid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_DACL: Final = 0x80000004  # DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION
_RIGHTS: Final = 0x00101001  # SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_TERMINATE
_QUIET: Final = 0x8003  # SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX
_PATH: Final = 32768
_TICKS: Final = 10_000_000  # a FILETIME counts tenths of microseconds
_TO_1970: Final = 11_644_473_600  # seconds from 1601, the epoch of FILETIME


_EXTENDED_LIMITS: Final = 9  # JobObjectExtendedLimitInformation
_KILL_ON_CLOSE: Final = 0x2000  # JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE


def access_list_for(sid: str) -> str:
    """Return the access list of a process that its own user may only end and look at (SDDL).

    OW is the owner, who could always change the list without this entry.
    """
    return f"D:P(A;;{_RIGHTS:#x};;;{sid})(A;;{_RIGHTS:#x};;;OW)"


def close_process() -> None:
    """Close this process to other processes of this user. Raises OSError."""
    calls.set_error_mode(_QUIET)
    descriptor = Descriptor(access_list_for(own_sid()))
    if not calls.set_kernel_object_security(calls.current_process(), _DACL, descriptor.address):
        raise calls.last_error()


def has_debugger() -> bool:
    """Tell whether a debugger is attached to this process."""
    found = wintypes.BOOL()
    calls.debugger_present(calls.current_process(), found)
    return bool(found.value)


def executable_of(pid: int) -> tuple[str, float]:
    """Return the path of a process' program, and its start since 1970. Raises OSError."""
    process = calls.open_process(calls.PROCESS_QUERY_LIMITED_INFORMATION, False, pid)
    if not process:
        raise calls.last_error()
    try:
        path = ctypes.create_unicode_buffer(_PATH)
        began, other = wintypes.FILETIME(), wintypes.FILETIME()
        if not calls.image_name(process, 0, path, wintypes.DWORD(_PATH)):
            raise calls.last_error()
        if not calls.process_times(process, began, other, other, other):
            raise calls.last_error()
    finally:
        calls.close_handle(process)
    ticks = began.dwHighDateTime << 32 | began.dwLowDateTime
    return path.value, ticks / _TICKS - _TO_1970


class _Limits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION of winnt.h; only its flags are used."""

    _fields_ = (
        ("times", ctypes.c_int64 * 2),
        ("flags", ctypes.c_uint32),
        ("sets", ctypes.c_size_t * 2),
        ("processes", ctypes.c_uint32),
        ("affinity", ctypes.c_size_t),
        ("classes", ctypes.c_uint32 * 2),
        ("io", ctypes.c_uint64 * 6),
        ("memory", ctypes.c_size_t * 4),
    )


class Job:
    """An empty job, which ends with this process at the latest."""

    def __init__(self) -> None:
        """Create the job. Raises OSError."""
        self._handle = calls.create_job(None, None)
        if not self._handle:
            raise calls.last_error()
        limits = _Limits(flags=_KILL_ON_CLOSE)
        size = ctypes.sizeof(limits)
        calls.set_job(self._handle, _EXTENDED_LIMITS, ctypes.byref(limits), size)

    def take(self, process: int) -> None:
        """Put a process into the job, by its handle. Raises OSError."""
        if not calls.assign_to_job(self._handle, process):
            raise calls.last_error()

    def end(self) -> None:
        """End every process of the job."""
        calls.end_job(self._handle, 1)
        calls.close_handle(self._handle)
