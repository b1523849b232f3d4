"""The agent's address where there are Unix sockets, and one byte stream to it (connection.py).

The address is `$TOKENWARD_SOCK` if set; else a socket in the first runtime directory that is a
directory and not a link, belongs to the user and has mode 0700. `runtime_directory` only looks;
`make_runtime_directory`, before an agent is started, makes a missing one. Nothing is made or looked
for directly in /tmp, where another user can be first.

Before a stream is returned, the socket's owner and the server's user id are read; the caller
decides what to do about another user. The server's process id is not used: under socket activation
it is the service manager's.

`_socket` and not `socket`: that module takes longer to load than a command may take (docs/adr/0002).
The option for the peer's credentials has the platform's own number, which differs between
architectures; an answer of another length is rejected.
"""

from __future__ import annotations

import os
import sys

assert sys.platform != "win32"

import stat
from _socket import AF_UNIX, SHUT_WR, SOCK_STREAM, SOL_SOCKET, socket
from time import monotonic, sleep

from tokenward.errors import AgentAbsent, AgentUnreachable
from tokenward_protocol import places

if sys.platform != "darwin":
    from _socket import SO_PEERCRED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


CONNECT_SECONDS = 2.0
"""Seconds until an agent must accept a connection."""

WITHDRAW_SECONDS = 1.0
"""Seconds that the agent may take to end the work for a client that waits no more."""

_LOCAL_PEERCRED = 1  # sys/un.h of macOS, at level SOL_LOCAL 0; one for every Mac
_UCRED, _XUCRED = 12, 76  # bytes of struct ucred (pid, uid, gid) and xucred (version, uid, groups)
_UID = slice(4, 8)  # the uid is at the same place in both


def runtime_directory(environ: Mapping[str, str], state: str) -> str | None:
    """Return the first usable runtime directory that exists, or None.

    `state` is the user's state directory.
    """
    return next(filter(is_private, _candidates(environ, state)), None)


def make_runtime_directory(environ: Mapping[str, str], state: str) -> str | None:
    """Return the runtime directory, making it if it is missing; None if that fails."""
    return _make_first(_candidates(environ, state))


def lasting_directory(environ: Mapping[str, str], state: str) -> str | None:
    """Return the runtime directory that survives a restart of macOS, making it if it is missing.

    macOS empties its folder of temporary files at each start, so a permanent address cannot be in
    that folder.
    """
    swept = swept_directory()
    return _make_first([path for path in _candidates(environ, state) if path != swept])


def swept_directory() -> str | None:
    """Return the runtime directory that a restart of macOS deletes; None on other systems."""
    temp = _temporary()
    return None if temp is None else places.runtime_directories("darwin", 0, {}, "", temp)[0]


def _make_first(candidates: list[str]) -> str | None:
    if found := next(filter(is_private, candidates), None):
        return found
    *shared, last = candidates
    for candidate in shared:
        try:
            if os.stat(os.path.dirname(candidate)).st_uid != os.geteuid():
                continue
        except OSError:
            continue
        if _make_private(candidate):
            return candidate
    from tokenward.files import own_folders

    try:
        own_folders.make(os.path.dirname(last))
    except (OSError, own_folders.UnsafePlaceError):
        return None
    return last if _make_private(last) else None


def is_private(path: str) -> bool:
    """Return whether `path` is a directory, not a link, ours, and closed to other users.

    Set-group-id, which mkdir(2) passes on from the folder above, does not open it.
    """
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return (
        stat.S_ISDIR(found.st_mode)
        and found.st_uid == os.geteuid()
        and stat.S_IMODE(found.st_mode) & ~stat.S_ISGID == 0o700
    )


def addresses(base: str, directory: str, ordinary: str) -> Iterator[str]:
    """Yield the possible sockets of the agent of `directory`, the likeliest first.

    The user's ordinary directory has the plain name, unless the agent of another home took it.
    """
    if directory == ordinary:
        yield f"{base}/{places.SOCKET}"
    yield f"{base}/{places.directory_tag(directory)}.sock"


def _candidates(environ: Mapping[str, str], state: str) -> list[str]:
    return places.runtime_directories(sys.platform, os.geteuid(), environ, state, _temporary())


def _temporary() -> str | None:
    return os.confstr(places.DARWIN_USER_TEMP_DIR) if sys.platform == "darwin" else None


def _make_private(path: str) -> bool:
    """Make a directory that is private from the start; return whether there is one now."""
    try:
        os.mkdir(path, 0o700)
    except OSError:
        return is_private(path)  # another process may have made it meanwhile
    return True


class SocketStream:
    """A connected stream, as connection.py uses it."""

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
    if len(os.fsencode(path)) > places.MAX_SOCKET_PATH.get(sys.platform, 103):
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
