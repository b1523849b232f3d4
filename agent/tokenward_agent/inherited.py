"""The descriptor that a service manager hands over at the start.

systemd names it in environment variables (sd_listen_fds(3)); launchd is called for it (launchd.py).
It is at most one, whatever its name. A listening socket makes this process an agent, a connected
one makes it a worker. The variables are removed from the environment, so that no child takes them
for its own.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Final

_FIRST: Final = 3  # SD_LISTEN_FDS_START


class InheritedError(Exception):
    """The descriptor cannot be served; the text is one sentence for the user."""


def take_socket(environ: MutableMapping[str, str]) -> socket.socket | None:
    """Return the socket that was handed to this process, or None. Raises InheritedError."""
    if sys.platform == "win32":
        return None
    numbers = _sockets_of_systemd(environ)
    if sys.platform == "darwin" and not numbers:
        numbers = sockets_of_launchd(ctypes.CDLL(None))
    if not numbers:
        return None
    if len(numbers) != 1:
        raise _too_many_error(len(numbers))
    os.set_inheritable(numbers[0], False)
    try:
        handed = socket.socket(fileno=numbers[0])
    except OSError:
        raise InheritedError("The descriptor of the service manager is not a socket.") from None
    if handed.family != socket.AF_UNIX or handed.type != socket.SOCK_STREAM:
        handed.close()
        raise InheritedError("The socket of the service manager is not a Unix stream socket.")
    return handed


def is_listening(handed: socket.socket) -> bool:
    """Tell whether this socket listens, so that this process is an agent."""
    if sys.platform != "linux":
        return True  # launchd hands over listeners only, and not every macOS has SO_ACCEPTCONN
    return bool(handed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def sockets_of_launchd(library: ctypes.CDLL) -> list[int]:
    """Return the descriptors that launchd hands over, by the calls in `library`.

    Raises InheritedError if launchd refuses.
    """
    from tokenward_agent import launchd

    try:
        return launchd.activated_descriptors(library)
    except OSError as error:
        raise InheritedError(
            f"The service manager launchd does not hand over the socket: {error.strerror}."
        ) from None


def _sockets_of_systemd(environ: MutableMapping[str, str]) -> list[int]:
    meant_for = environ.pop("LISTEN_PID", "")
    count = environ.pop("LISTEN_FDS", "") or "0"
    for name in ("LISTEN_FDNAMES", "LISTEN_PIDFDID"):
        environ.pop(name, None)
    if meant_for != str(os.getpid()):
        return []
    if count not in {"0", "1"}:
        raise _too_many_error(count)
    return [_FIRST] * int(count)


def _too_many_error(count: object) -> InheritedError:
    return InheritedError(f"The service manager handed over {count} descriptors instead of one.")
