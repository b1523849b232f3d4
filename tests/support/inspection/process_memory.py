"""A look into another process' memory from outside, as root: what a debugger or a dump would see."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from support.waiting import PATIENCE

WITHOUT_MEMFD_SECRET = """
import ctypes, os, struct, sys
ERRNO_ENOSYS, ALLOW = 0x00050000 | 38, 0x7FFF0000
program = b"".join(struct.pack("=HBBI", *each) for each in (
    (0x20, 0, 0, 0),          # load the number of the system call
    (0x15, 0, 1, 447),        # is it memfd_secret?
    (0x06, 0, 0, ERRNO_ENOSYS),
    (0x06, 0, 0, ALLOW),
))
kept = ctypes.create_string_buffer(program, len(program))
filter_ = struct.pack("=H6xQ", len(program) // 8, ctypes.addressof(kept))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.c_char_p(filter_), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""
"""A program that becomes another one, which gets an arena that root can read."""

BEFORE: dict[str, list[str]] = {
    "memfd_secret": [],
    "mlock": [sys.executable, "-I", "-c", WITHOUT_MEMFD_SECRET],
}
"""What an agent is started by for each kind of arena."""

_CHUNK = 1 << 20

Ranges = list[tuple[int, int]]


def copies(pid: int, needles: list[bytes], besides: Ranges | None = None) -> int:
    """Count the occurrences of all needles in everything that can be read of a process.

    Mappings that the kernel refuses to show (memfd_secret, device memory) count as empty; those
    `besides` which is looked are left out.
    """
    longest = max(map(len, needles))
    found = 0
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for start, end in _readable(pid):
            if (start, end) in (besides or ()):
                continue
            tail = b""
            for at in range(start, end, _CHUNK):
                try:
                    memory.seek(at)
                    data = memory.read(min(_CHUNK, end - at))
                except OSError:
                    tail = b""
                    continue
                window = tail + data
                found += sum(_count(window, needle, len(tail)) for needle in needles)
                tail = window[-(longest - 1) :]
    return found


def dumped_copies(pid: int, needles: list[bytes], folder: Path) -> int | None:
    """Count the occurrences in a core that a debugger makes; None where there is no debugger."""
    if shutil.which("gcore") is None:
        return None
    subprocess.run(
        ["gcore", "-o", str(folder / "core"), str(pid)],
        check=True,
        capture_output=True,
        timeout=2 * PATIENCE,
    )
    core = folder / f"core.{pid}"
    data = core.read_bytes()
    core.unlink()
    return sum(_count(data, needle, 0) for needle in needles)


def locked(pid: int) -> Ranges:
    """Return the mappings that are locked and left out of dumps: an arena by mlock."""
    ranges: Ranges = []
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        first, *rest = line.split()
        if "-" in first and not first.endswith(":"):
            start, _, end = first.partition("-")
            ranges.append((int(start, 16), int(end, 16)))
        elif first == "VmFlags:" and not {"lo", "dd"} <= set(rest):
            ranges.pop()
    return ranges


def _count(window: bytes, needle: bytes, seen: int) -> int:
    """Count what ends behind the first `seen` bytes, which were looked through before."""
    found = 0
    at = window.find(needle, max(0, seen - len(needle) + 1))
    while at >= 0:
        found += 1
        at = window.find(needle, at + 1)
    return found


def _readable(pid: int) -> Ranges:
    ranges: Ranges = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, mode, *rest = line.split()
        if mode.startswith("r") and rest[-1:] != ["[vvar]"]:
            start, _, end = span.partition("-")
            ranges.append((int(start, 16), int(end, 16)))
    return ranges


def slices(secret: bytes) -> list[bytes]:
    """Return three parts of a secret, long enough to be nothing else."""
    middle = len(secret) // 2
    return [secret[:20], secret[middle - 10 : middle + 10], secret[-20:]]
