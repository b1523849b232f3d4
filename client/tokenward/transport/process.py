"""Other processes: an agent that outlives this one, and waiting for the end of one.

A new agent inherits next to nothing, and reports once: it gets a session of its own, no input, a
log for stray output, and one descriptor on which it writes one line.
"""

from __future__ import annotations

import os
import sys

assert sys.platform != "win32"

import signal
from contextlib import suppress
from select import select
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Spawned:
    """`command`, which gets the descriptor for its line by `--ready-fd`; stderr goes to `log`."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], log: int | None) -> None:
        """Start it. Raises OSError."""
        self._ours, theirs = os.pipe()
        try:
            self._pid = _spawn(command, environ, log, theirs)
        except BaseException:
            os.close(self._ours)
            raise
        finally:
            os.close(theirs)

    def first_line(self, deadline: float) -> str:
        """Return the line that it writes, without its end; "" if none comes in time."""
        said = b""
        try:
            while not said.endswith(b"\n"):
                readable, _, _ = select([self._ours], [], [], max(0, deadline - monotonic()))
                more = os.read(self._ours, 4096) if readable else b""
                if not more:
                    return ""
                said += more
        finally:
            os.close(self._ours)
        return said.decode("utf-8", "replace").strip()

    def leave(self) -> None:
        """Let it run on by itself."""

    def kill(self) -> None:
        """Kill it."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    def wait(self) -> None:
        """Wait for its end."""
        with suppress(ChildProcessError):  # if our starter ignored SIGCHLD, it is reaped already
            os.waitpid(self._pid, 0)


def _spawn(command: Sequence[str], environ: Mapping[str, str], log: int | None, ready: int) -> int:
    number = 4 if ready == 3 else 3  # a descriptor that is duplicated onto itself would be closed
    return os.posix_spawn(
        command[0],
        [*command, "--ready-fd", str(number)],
        environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0),
            (os.POSIX_SPAWN_DUP2, 0, 1),
            (os.POSIX_SPAWN_DUP2, 0 if log is None else log, 2),
            *((os.POSIX_SPAWN_CLOSE, inherited) for inherited in _inheritable()),
            (os.POSIX_SPAWN_DUP2, ready, number),
        ],
        setsid=True,
        setsigmask=(),
        setsigdef=(signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT),
    )


def _inheritable() -> list[int]:
    """Return the descriptors above stderr that a child would inherit."""
    found = []
    for name in os.listdir("/dev/fd"):
        try:
            if int(name) > 2 and os.get_inheritable(int(name)):
                found.append(int(name))
        except OSError:
            continue  # the listing's own descriptor, closed by now
    return found


class Running:
    """The process with this pid; one that is not visible here counts as ended."""

    def __init__(self, pid: int) -> None:
        import psutil

        self._process: psutil.Process | None = None
        with suppress(psutil.NoSuchProcess):  # it runs in another namespace of process ids
            self._process = psutil.Process(pid)

    def has_ended(self, seconds: float) -> bool:
        """Wait for its end, at most `seconds`. It may stay a zombie: containers may lack an init."""
        if self._process is None:
            return True
        import psutil

        deadline = monotonic() + seconds
        while monotonic() < deadline:
            with suppress(psutil.TimeoutExpired):
                self._process.wait(0.02)
                return True
            with suppress(psutil.NoSuchProcess):
                if self._process.status() != psutil.STATUS_ZOMBIE:
                    continue
            return True
        return False
