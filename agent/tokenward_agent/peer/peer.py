"""The process at the other end of a connection, identified so that no other can pass for it.

Each system has its own way (proc.py on Linux, psutil_process.py). Refuses to guess: a
peer that has ended, that cannot be read or that lives in another process namespace is unknown,
which is a normal case and not an error. It does not stop a process of the same user that runs the
real twine to ask in its name, or becomes twine after it has connected.
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING

from tokenward_agent.peer.purpose import summarize_command
from tokenward_agent.peer.requester import UNKNOWN, Requester
from tokenward_agent.peer.run_command import requester_of_run

if sys.platform == "linux":
    from tokenward_agent.peer.proc import chain, chain_behind
else:
    from tokenward_agent.peer.psutil_process import chain_behind

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from tokenward_agent.peer.process import Process


class Peer:
    """The other end of a connected socket, as of the time when it was accepted."""

    __slots__ = (
        "__weakref__",
        "_accepted",
        "_described",
        "_hints",
        "_requester",
        "_sock",
        "wanted",
    )

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._requester: Requester | None = None
        self._described: str | None = None
        self._hints: tuple[Requester, frozenset[str]] | None = None
        self.wanted = ""  # what the credential is wanted for, once `describe` ran; "" if not known
        self._accepted = _now()

    @property
    def requester(self) -> Requester:
        """The requester, determined once."""
        if self._requester is None:
            try:
                chain = chain_behind(self._sock, self._accepted)
                self._requester = Requester.from_processes(chain)
            except (OSError, MemoryError):
                self._requester = UNKNOWN
        return self._requester

    @property
    def descriptor(self) -> int | None:
        """The connection's descriptor, None once it is closed and on Windows."""
        if sys.platform == "win32":
            return None
        number = self._sock.fileno()
        return None if number < 0 else number

    def describe(self, encode: Callable[[Mapping[str, object]], str]) -> str:
        """Return the description of `requester` as text, made once."""
        if self._described is None:
            self.wanted = summarize_command(self.requester)
            self._described = encode(self.requester.describe())
        return self._described

    @property
    def hints(self) -> frozenset[str]:
        """The result of `requester.hints()`, made once."""
        requester = self.requester
        if self._hints is None or self._hints[0] is not requester:
            self._hints = requester, requester.hints()
        return self._hints[1]

    def as_run(self, path: str = "") -> Peer:
        """Return this peer as the command that it is about to become, if it is `auth exec`.

        `path` is the absolute path of that command, "" if it is not known.
        """
        other = Peer(self._sock)
        other._requester = requester_of_run(self.requester, path)
        return other


def _now() -> float:
    """Return seconds by the clock in which the system counts the start of processes."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.time()


class RunPeer(Peer):
    """The command of a run, which was the peer of a connection before it became the command.

    It is read anew each time: the process is the same, what it runs is not.
    """

    __slots__ = ("_is_alive", "process")

    def __init__(self, process: Process, is_alive: Callable[[], bool]) -> None:
        self.process = process
        self._is_alive = is_alive
        self.wanted = ""

    @property
    def identity(self) -> tuple[int, int]:
        """What tells the process from every other one."""
        return self.process.pid, self.process.started

    @property
    def requester(self) -> Requester:
        """The requester as it is now, UNKNOWN once it has ended."""
        processes = None
        if sys.platform == "linux":  # there is no relay elsewhere
            with contextlib.suppress(OSError, MemoryError):
                processes = chain(self.process.pid, self._is_same)
        return Requester.from_processes(processes) if processes else UNKNOWN

    @property
    def descriptor(self) -> int | None:
        """None: there is no connection."""
        return None

    @property
    def hints(self) -> frozenset[str]:
        """Names of files that may run there."""
        return self.requester.hints()

    def describe(self, encode: Callable[[Mapping[str, object]], str]) -> str:
        """Return the description of `requester` as text."""
        requester = self.requester
        self.wanted = summarize_command(requester)
        return encode(requester.describe())

    def _is_same(self, found: Process) -> bool:
        return found.started == self.process.started and self._is_alive()
