"""One byte stream to an agent over a Unix socket, and the check of its owner (stream.py).

Before a stream is returned, the socket's owner and the server's user id are read; the caller
decides what to do about another user. The server's process id is not used: under socket activation
it is the service manager's.

`_socket` and not `socket`: that module costs more than everything else in the shortest command
(docs/adr/0002 has the figures). The option for the peer's credentials has the platform's own
number, which differs between architectures; an answer of another length is rejected.
"""

from __future__ import annotations

import os
import sys

assert sys.platform != "win32"

from _socket import AF_UNIX, SHUT_WR, SOCK_STREAM, SOL_SOCKET, socket
from time import monotonic, sleep

from tokenward.errors import AgentAbsent, AgentUnreachable
from tokenward_protocol.places import MAX_SOCKET_PATH

if sys.platform != "darwin":
    from _socket import SO_PEERCRED

CONNECT_SECONDS = 2.0
WITHDRAW_SECONDS = 1.0
"""Seconds until an agent must accept a connection."""

_LOCAL_PEERCRED = 1  # sys/un.h of macOS, at level SOL_LOCAL 0; one for every Mac
_UCRED, _XUCRED = 12, 76  # bytes of struct ucred (pid, uid, gid) and xucred (version, uid, groups)
_UID = slice(4, 8)  # the uid is at the same place in both


class SocketStream:
    """A connected stream, as in stream.py."""

    __slots__ = ("_socket", "stranger")

    def __init__(self, connected: socket, stranger: int | None) -> None:
        self._socket = connected
        self.stranger = stranger

    def send(self, data: bytes, deadline: float) -> None:
        """Send all of `data`."""
        self._socket.settimeout(_remaining(deadline))
        self._socket.sendall(data)

    def receive(self, deadline: float) -> bytes:
        """Return some bytes as soon as there are any; b"" at the end of the stream."""
        self._socket.settimeout(_remaining(deadline))
        return self._socket.recv(65536)

    def withdraw(self) -> None:
        """Tell the agent that the client waits no more, and wait a moment for its work to end."""
        try:
            self._socket.shutdown(SHUT_WR)
            self._socket.settimeout(WITHDRAW_SECONDS)
            self._socket.recv(1)
        except OSError:
            return  # the agent is gone already, or takes too long

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def open_stream(path: str) -> SocketStream:
    """Connect to the agent's address.

    Raises AgentAbsent if no agent listens, AgentUnreachable for any other failure.
    """
    if len(os.fsencode(path)) > MAX_SOCKET_PATH.get(sys.platform, 103):
        raise AgentUnreachable(
            f"The path of the agent's socket is too long for the system: {path}.",
            "set XDG_RUNTIME_DIR to a shorter directory",
        )
    connected = socket(AF_UNIX, SOCK_STREAM)
    try:
        owner = os.stat(path).st_uid
        _connect(connected, path)
        return SocketStream(connected, _stranger(owner, _server(connected)))
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        connected.close()
        raise AgentAbsent("No agent is running.", "`auth agent start` starts it") from None
    except TimeoutError:
        connected.close()
        raise AgentUnreachable(
            f"The agent at {path} accepts no connection.", "`auth agent restart`"
        ) from None
    except OSError as error:
        connected.close()
        raise AgentUnreachable(
            f"The agent at {path} cannot be reached: {error.strerror}."
        ) from None


def _connect(connecting: socket, path: str) -> None:
    """Connect; wait while the kernel turns clients away because too many connect (EAGAIN)."""
    deadline = monotonic() + CONNECT_SECONDS
    while True:
        connecting.settimeout(_remaining(deadline))
        try:
            connecting.connect(path)
        except BlockingIOError:
            sleep(0.005)
        else:
            return


def _server(connected: socket) -> int:
    """Return the listener's user id. Raises OSError if the kernel does not tell it."""
    if sys.platform == "darwin":
        size = _XUCRED
        credentials = connected.getsockopt(0, _LOCAL_PEERCRED, size)
    else:
        size = _UCRED
        credentials = connected.getsockopt(SOL_SOCKET, SO_PEERCRED, size)
    if len(credentials) != size:
        raise OSError(0, "the system does not tell its owner")
    return int.from_bytes(credentials[_UID], sys.byteorder)


def _stranger(owner: int, server: int) -> int | None:
    trusted = (os.geteuid(), 0)
    if server not in trusted:
        return server
    return owner if owner not in trusted else None


def _remaining(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError
    return left
