"""A look into another process' memory from outside, as root: what a debugger or a dump would see."""

from __future__ import annotations

from pathlib import Path

_CHUNK = 1 << 20


def copies(pid: int, needles: list[bytes]) -> int:
    """Count the occurrences of all needles in everything that can be read of a process.

    Mappings that the kernel refuses to show (memfd_secret, device memory) count as empty.
    """
    longest = max(map(len, needles))
    found = 0
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for start, end in _readable(pid):
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


def _count(window: bytes, needle: bytes, seen: int) -> int:
    """Count what ends behind the first `seen` bytes, which were looked through before."""
    found = 0
    at = window.find(needle, max(0, seen - len(needle) + 1))
    while at >= 0:
        found += 1
        at = window.find(needle, at + 1)
    return found


def _readable(pid: int) -> list[tuple[int, int]]:
    ranges = []
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
