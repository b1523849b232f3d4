"""A look into another process' memory from outside, as root: what a debugger or a dump would see."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

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
        timeout=120,
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
