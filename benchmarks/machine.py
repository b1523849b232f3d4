"""The machine: what the figures were taken on, which process runs where, and what keeps it awake.

Two processes that talk to each other are kept on a core each where the system lets us: left alone,
the scheduler moves them together and apart, which alone makes the same code twice as slow or fast.
And a core that has nothing to do falls asleep, deeper the longer it waits: waking it costs more
than what is compared here, in steps, so that a microsecond more may show as twenty.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALL = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []

PINNED = len(_ALL) > 1
"""Whether processes can be kept on a core each."""

AGENT, CLIENT = (_ALL[0], _ALL[-1]) if PINNED else (-1, -1)
"""The cores for what serves and for what asks."""

_SHOWN = ("tokenward", "cryptography", "msgpack", "keyring", "uv")

_SPIN = """
import os
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(100_000): pass
"""


@contextmanager
def core(number: int) -> Iterator[None]:
    """Stay on a core, with all that is started meanwhile; does nothing where that cannot be had."""
    if sys.platform == "linux" and PINNED:
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {number})
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)
    else:
        yield


@contextmanager
def awake() -> Iterator[None]:
    """Keep both cores from falling asleep, by processes that give way to every other one."""
    with ExitStack() as stack:
        for number in {AGENT, CLIENT} if PINNED else ():
            with core(number):
                process = subprocess.Popen([sys.executable, "-I", "-S", "-c", _SPIN])
            stack.enter_context(process)
            stack.callback(process.kill)
        yield


def described() -> dict[str, str]:
    """Return what anybody needs to know to compare two runs."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": ", ".join(f"{name} {version(name)}" for name in _SHOWN),
        "cores": "one for the agent, one for the client" if PINNED else "as the system likes",
    }


def load() -> float:
    """Return how many processes wanted to run in the last minute, ours included."""
    return os.getloadavg()[0]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
