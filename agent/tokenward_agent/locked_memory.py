"""Memory that is not swapped, dumped or inherited, on Linux and macOS.

The first of these that the system grants:

- ``memfd_secret`` (Linux 5.14, on by default since 6.5): pages that are mapped in no other process
  and not even by the kernel, so that root reading ``/proc/PID/mem`` gets an error. The machine
  cannot hibernate while they are mapped, so they are not used on a machine that could;
- ``mlock``: never swapped, left out of dumps, empty in a forked child;
- ``unlocked: REASON``: ordinary memory.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import sys
from typing import Final

assert sys.platform != "win32"  # noqa: S101 - for type checkers


_SYS_MEMFD_SECRET: Final = 447
_HAVE_MEMFD_SECRET: Final = frozenset({"x86_64", "aarch64", "riscv64", "loongarch64", "s390x"})
"""Machines on which the call has that number; on others it may belong to another call."""

_MLOCK_ONFAULT: Final = 1  # asm-generic/mman-common.h, like the next one; Python lacks both
_MADV_WIPEONFORK: Final = 18
_MADV_ZERO_WIRED_PAGES: Final = 6  # sys/mman.h of macOS: wiped when unmapped


def map_locked(size: int) -> tuple[mmap.mmap, str]:
    """Map *size* bytes, whole pages; return them and the name of their protection."""
    _raise_limit()
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "linux" and not can_hibernate(
        _content("/sys/power/state"), _content("/proc/swaps")
    ):
        memory = _secret_map(libc, size)
        if memory is not None:
            return memory, "memfd_secret"
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if sys.platform == "linux":
        _advise(memory, mmap.MADV_DONTDUMP)
        _advise(memory, _MADV_WIPEONFORK)
    elif sys.platform == "darwin":
        _advise(memory, _MADV_ZERO_WIRED_PAGES)
    problem = _lock(libc, memory, size)
    return memory, f"unlocked: {problem}" if problem else "mlock"


def can_hibernate(power_state: bytes, swaps: bytes) -> bool:
    """Tell whether this Linux machine could suspend to disk.

    *power_state* is the content of ``/sys/power/state`` (the kernel lists ``disk`` while nothing
    inhibits it), *swaps* that of ``/proc/swaps``: an image needs swap space that is not in memory.
    """
    spaces = [line for line in swaps.splitlines()[1:] if not line.startswith(b"/dev/zram")]
    return b"disk" in power_state.split() and bool(spaces)


def _raise_limit() -> None:
    """Raise the limit of locked memory as far as possible; a refusal shows when locking fails."""
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
    except (OSError, ValueError):
        return


def _secret_map(libc: ctypes.CDLL, size: int) -> mmap.mmap | None:
    """Map secret memory, or return None: an old kernel, a filter, or the lock limit (at mmap)."""
    if os.uname().machine not in _HAVE_MEMFD_SECRET:
        return None
    descriptor = libc.syscall(_SYS_MEMFD_SECRET, os.O_CLOEXEC)
    if descriptor < 0:
        return None
    try:
        os.ftruncate(descriptor, size)
        memory = mmap.mmap(descriptor, size, flags=mmap.MAP_SHARED)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    # A child would share this memory after a fork: leave it out there.
    if sys.platform == "linux":
        _advise(memory, mmap.MADV_DONTFORK)
    return memory


def _advise(memory: mmap.mmap, advice: int) -> None:
    """Ask for one more protection; the agent starts without it on a kernel that lacks it."""
    try:
        memory.madvise(advice)
    except OSError:
        return


def _lock(libc: ctypes.CDLL, memory: mmap.mmap, size: int) -> str | None:
    """Lock *memory*, each page when first touched if the system can; return the error, or None."""
    address = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
    length = ctypes.c_size_t(size)
    if hasattr(libc, "mlock2") and libc.mlock2(address, length, _MLOCK_ONFAULT) == 0:
        return None
    if libc.mlock(address, length) == 0:
        return None
    return f"{os.strerror(ctypes.get_errno())} for {size >> 10} KiB (see `ulimit -l`)"


def _content(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, 65536)
    finally:
        os.close(descriptor)
