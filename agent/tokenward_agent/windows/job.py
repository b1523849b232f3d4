"""A job: processes that end together, with everything that they started."""

from __future__ import annotations

import sys

assert sys.platform == "win32"

import ctypes

from tokenward_os.windows import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_EXTENDED_LIMITS: Final = 9  # JobObjectExtendedLimitInformation
_KILL_ON_CLOSE: Final = 0x2000  # JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE


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
