"""What a process costs, seen from outside (Linux; the descriptors of a hardened one as root)."""

from __future__ import annotations

import gc
from contextlib import suppress
from pathlib import Path
from time import sleep

import psutil

from support.waiting import until


def anonymous_memory(pid: int) -> float:
    """Return its resident memory that is no file's, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    sizes = {name: value for name, _, value in (line.partition(":") for line in status)}
    return int(sizes["RssAnon"].split()[0]) / 1024


def descriptors(pid: int) -> int:
    """Return how many descriptors it has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def own_descriptors() -> int:
    """Return how many this process has open, without what earlier tests left to the collector."""
    gc.collect()
    return len(list(Path("/dev/fd").iterdir()))


def settled_descriptors(pid: int, wanted: int) -> int:
    """Wait until it has no more descriptors than `wanted`, for a while; return how many it has."""
    with suppress(AssertionError):  # the caller says what is too many
        until(lambda: descriptors(pid) <= wanted)
    return descriptors(pid)


def is_running(pid: int) -> bool:
    """Tell whether it has not ended: one that has may stay in the table for as long as init likes."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_waiting(pid: int) -> bool:
    """Tell whether it waits, having nothing to do: what is only kept from a core is ready to run."""
    process = psutil.Process(pid)
    for _ in range(10):
        if process.status() != psutil.STATUS_SLEEPING:
            return False
        sleep(0.01)
    return True


def children(pid: int) -> list[int]:
    """Return its children, zombies among them."""
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def relays(agent: int) -> list[int]:
    """Return the relays of an agent that have a run."""
    return [pid for pid in children(agent) if _name_of(pid) == "tokenward-relay"]


def _name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
