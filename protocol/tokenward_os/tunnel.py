"""Bytes both ways between two sockets, until both sides have ended.

A tunnel has no idle limit: a download may pause, and a lock of the vault does not concern it. Each
way goes on by itself, however full the other is. Once the tool has ended its side, the other has
`LEFT_SECONDS` between two pieces of its answer: a tool that was killed looks the same.

It is part of the one file for the near end of a share: any Python from 3.9 on.
"""

from __future__ import annotations

import contextlib
import select
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

LEFT_SECONDS: Final = 600
_PIECE: Final = 64 * 1024


class _Way:
    """One direction of a tunnel; what was read and not yet written is in `data`."""

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self.source = source
        self.target = target
        self.data = memoryview(b"")
        self.has_ended = False

    def move(self) -> None:
        """Read and write what is possible without waiting. Raises OSError."""
        with contextlib.suppress(BlockingIOError):
            if not self.data and not self.has_ended:
                self.data = memoryview(self.source.recv(_PIECE))
                if not self.data:
                    self.has_ended = True
                    self.target.shutdown(socket.SHUT_WR)
            if self.data:
                self.data = self.data[self.target.send(self.data) :]


def pump(one: socket.socket, other: socket.socket) -> None:
    """Move bytes between two plain sockets until both directions have ended; close both.

    `one` is the tool's.
    """
    there, back = _Way(one, other), _Way(other, one)
    with one, other, contextlib.suppress(OSError):
        for sock in (one, other):
            sock.setblocking(False)
        while not (there.has_ended and back.has_ended):
            wanted = dict.fromkeys((one.fileno(), other.fileno()), 0)
            for way in (there, back):
                if way.data:
                    wanted[way.target.fileno()] |= select.POLLOUT
                elif not way.has_ended:
                    wanted[way.source.fileno()] |= select.POLLIN
            poll = select.poll()
            for number, events in wanted.items():
                if events:  # else a connection that has ended would be reported without an end
                    poll.register(number, events)
            if not poll.poll(LEFT_SECONDS * 1000 if there.has_ended else None):
                return
            there.move()
            back.move()
