"""The process at the other end of a connection, held on to so that no other can pass for it.

The kernel remembers which process connected. SO_PEERPIDFD (Linux 6.5) gives a handle on that very
process, whenever it is asked for; a number alone may belong to another one by then. It is asked for
when somebody needs to know and given back at once: a connection costs no second descriptor. Where
there is no such handle, a process counts only if it was there before the connection was accepted.

Refuses to guess: a peer that has ended, that cannot be read or that lives out of sight (another
process namespace) is unknown, which is a normal case and no error. What it does not stop: a process
of the same user that runs the real twine to ask in its name, or becomes it after it has connected.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import sys
import time

from tokenward_agent.asking.asker import UNKNOWN, Asker
from tokenward_agent.asking.process import Process, chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final

_SO_PEERPIDFD: Final = 77  # asm-generic/socket.h; not in Python's socket module before 3.14
_LOCAL_PEERPID: Final = 2  # sys/un.h of macOS, at level SOL_LOCAL 0


class Peer:
    """The other end of a connected socket, as the connection knew it when it was accepted."""

    __slots__ = ("_accepted", "_asker", "_described", "_sock")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._asker: Asker | None = None
        self._described: str | None = None
        self._accepted = _since_boot()

    @property
    def asker(self) -> Asker:
        """Who it is, looked at once."""
        if self._asker is None:
            self._asker = self._look()
        return self._asker

    @property
    def descriptor(self) -> int | None:
        """The connection's own descriptor, None once it is closed."""
        number = self._sock.fileno()
        return None if number < 0 else number

    def described(self, encode: Callable[[Mapping[str, object]], str]) -> str:
        """Return `asker.described()` as text, made once."""
        if self._described is None:
            self._described = encode(self.asker.described())
        return self._described

    def _look(self) -> Asker:
        try:
            if sys.platform == "linux":
                return Asker.of(self._on_linux())
            from tokenward_agent.asking.other_systems import chain_of

            size = struct.calcsize("i")
            (pid,) = struct.unpack("i", self._sock.getsockopt(0, _LOCAL_PEERPID, size))
            return Asker.of(chain_of(pid, time.time() - (_since_boot() - self._accepted)))
        except (OSError, MemoryError):
            return UNKNOWN

    def _on_linux(self) -> tuple[Process, ...]:
        credentials = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        pid = int.from_bytes(credentials[:4], sys.byteorder)
        try:
            handle = self._sock.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD, 4)
        except OSError as error:
            if error.errno != errno.ENOPROTOOPT:
                raise  # it has ended
            return chain(pid, self._was_there)
        pidfd = int.from_bytes(handle, sys.byteorder)
        try:
            return chain(pid, lambda _process: _lives(pidfd))
        finally:
            os.close(pidfd)

    def _was_there(self, process: Process) -> bool:
        """Tell whether a process is old enough to have made the connection."""
        return process.started / os.sysconf("SC_CLK_TCK") <= self._accepted


def _lives(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return not poll.poll(0)


def _since_boot() -> float:
    """Return seconds by the clock that /proc counts the beginning of processes by."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
