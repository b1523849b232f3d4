"""strace on a running agent: to see its system calls, and to have one of them fail or kill it.

The agent refuses a tracer at its start, so it is attached to afterwards, which takes root. Faults
are injected into one thread's n-th call of a name and gone when strace is.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Self

import pytest

traced = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
traces = pytest.mark.root(
    "attaches strace to an agent", able=lambda: shutil.which("strace"), needs="strace"
)

DETACH_SECONDS = 0.5

_CALL = re.compile(r"(?m)^(?:(\d+) +)?([a-z0-9_]+)\(")


class Strace:
    """strace attached to `pid` with all its threads; `options` say what to trace and inject.

    Without `follow` it stays with the threads that there are: a worker would refuse to be traced.
    Without `main` it leaves out the loop's thread, so that a fault hits the one that saves.
    """

    def __init__(
        self, pid: int, log: Path, *options: str, follow: bool = True, main: bool = True
    ) -> None:
        self._pid = pid
        self._log = log
        log.unlink(missing_ok=True)
        follow = follow and main  # to follow takes in all threads
        threads = [pid] if follow else [int(it.name) for it in Path(f"/proc/{pid}/task").iterdir()]
        if not main:
            threads.remove(pid)
        self._first = threads[0]
        attached = [word for thread in threads for word in ("-p", str(thread))]
        self._process = subprocess.Popen(
            ["strace", *(["-f"] if follow else []), "-o", str(log), *options, *attached],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        for _ in threads:
            told = self._process.stderr.readline()
            assert "attached" in told, told

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()  # it lets go of the agent
        try:
            self._process.communicate(timeout=DETACH_SECONDS)
        except subprocess.TimeoutExpired:  # it waits for ever where the agent died just then
            self._process.kill()
            self._process.communicate()

    def text(self) -> str:
        """Return what was traced; once detached it is complete."""
        return self._log.read_text(errors="replace")

    def calls(self) -> list[tuple[int, str]]:
        """Return the thread and the name of each traced call, in order."""
        found = _CALL.findall(self.text())
        return [(int(tid or self._first), name) for tid, name in found]  # it names no only one
