"""Memory that is not swapped, and random bytes written straight into it.

``VirtualLock`` keeps pages in memory while this process runs; the working set limits how many, and
is raised first. Dumps contain such pages, so the process prevents dumps of itself (process.py). If
Windows refuses to lock, the memory is ``unlocked: REASON``.
"""

from __future__ import annotations

import sys
from typing import Final

assert sys.platform == "win32"

import ctypes
import mmap
from ctypes import c_int, c_ulong, c_void_p

from tokenward_os.windows import calls

_BESIDES: Final = 16 << 20  # bytes of the working set for everything else
_SYSTEM_PREFERRED: Final = 2  # BCRYPT_USE_SYSTEM_PREFERRED_RNG
_random = calls.typed(
    ctypes.WinDLL("bcrypt"), "BCryptGenRandom", c_int, c_void_p, c_void_p, c_ulong, c_ulong
)


def map_locked(size: int) -> tuple[mmap.mmap, str]:
    """Map *size* bytes, whole pages; return them and the name of their protection."""
    memory = mmap.mmap(-1, size)
    least = size + _BESIDES
    locked = calls.working_set(calls.current_process(), least, 2 * least) and calls.virtual_lock(
        _address(memory), size
    )
    return memory, "VirtualLock" if locked else f"unlocked: {calls.last_error().strerror}"


def fill_random(view: memoryview) -> None:
    """Fill *view* with random bytes of the system. Raises OSError."""
    if len(view) and _random(None, _address(view), len(view), _SYSTEM_PREFERRED):
        raise OSError("Windows has no random bytes.")


def _address(memory: mmap.mmap | memoryview) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))
