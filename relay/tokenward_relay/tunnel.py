"""Blind tunnels to other hosts: bytes both ways, until both sides have ended.

A tunnel has no idle limit: a download may pause, and a lock of the vault does not concern it. It
goes by the run's own proxy where that has one for the host (proxies.py).
"""

from __future__ import annotations

import contextlib
import select
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_CHUNK: Final = 64 * 1024


def pump(one: socket.socket, other: socket.socket) -> None:
    """Move bytes between two plain sockets until both directions have ended; close both."""
    poll = select.poll()
    ends = {one.fileno(): (one, other), other.fileno(): (other, one)}
    for sock in (one, other):
        sock.settimeout(None)
        poll.register(sock, select.POLLIN)
    try:
        while ends:
            for number, _ in poll.poll():
                if number not in ends:
                    continue
                source, target = ends[number]
                data = source.recv(_CHUNK)
                if data:
                    target.sendall(data)
                    continue
                poll.unregister(number)
                del ends[number]
                with contextlib.suppress(OSError):
                    target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    finally:
        one.close()
        other.close()
