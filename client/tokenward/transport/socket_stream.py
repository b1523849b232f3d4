"""One byte stream to an agent over a Unix socket, and whose agent it is (stream.py).

Before a stream is handed out, the socket's owner and the server's user id are looked at; what to
do about a stranger is the caller's to say. The server's process id is never looked at: under
socket activation it is the service manager's.

`_socket` and not `socket`: the module around it costs more than everything else that the shortest
command does (docs/adr/0002 has the figures). What the kernel is asked by is the platform's own number,
which differs between architectures, and an answer of another length is none.
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
"""How long an agent may take to let somebody in."""

_LOCAL_PEERCRED = 1  # sys/un.h of macOS, at level SOL_LOCAL 0; one for every Mac
_UCRED, _XUCRED = 12, 76  # bytes of struct ucred (pid, uid, gid) and xucred (version, uid, groups)
_UID = slice(4, 8)  # the uid has the same place in both


class SocketStream:
    """A connected stream, as stream.py says it."""

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
        """Say that nobody waits any more, and wait a moment until what was begun has ended."""
        try:
            self._socket.shutdown(SHUT_WR)
            self._socket.settimeout(WITHDRAW_SECONDS)
            self._socket.recv(1)
        except OSError:
            return  # it is gone already, or takes too long

    def close(self) -> None:
        """Hang up; that needs no farewell."""
        self._socket.close()


def open_stream(path: str) -> SocketStream:
    """Connect to the agent's address.

    Raises AgentAbsent where nobody listens, AgentUnreachable for everything else that is wrong.
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
            f"The agent at {path} lets nobody in.", "`auth agent restart`"
        ) from None
    except OSError as error:
        connected.close()
        raise AgentUnreachable(
            f"The agent at {path} cannot be reached: {error.strerror}."
        ) from None


def _connect(connecting: socket, path: str) -> None:
    """Connect, waiting where so many ask at once that the kernel turns some away (EAGAIN)."""
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
    """Return the user id of whoever listens. Raises OSError where the kernel does not say."""
    if sys.platform == "darwin":
        size = _XUCRED
        credentials = connected.getsockopt(0, _LOCAL_PEERCRED, size)
    else:
        size = _UCRED
        credentials = connected.getsockopt(SOL_SOCKET, SO_PEERCRED, size)
    if len(credentials) != size:
        raise OSError(0, "the system does not say whose it is")
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
