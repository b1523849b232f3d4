"""The descriptor that a service manager hands over at the start.

systemd says by variables which it is (sd_listen_fds(3)), launchd is asked (launchd.py).

There is one at most, whatever its name, and what it is says what this process is for: a socket that
accepts is an agent's address, and a connected one is the job of a worker. Variables that speak of
it are taken out of the environment, so that no child believes them meant for itself.
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
    """What was handed over cannot be served; the text is one sentence for the user."""


def taken(environ: MutableMapping[str, str]) -> socket.socket | None:
    """Return the socket that was handed to this process, None if none was. Raises InheritedError."""
    if sys.platform == "win32":
        return None
    numbers = _by_systemd(environ)
    if sys.platform == "darwin" and not numbers:
        numbers = by_launchd(ctypes.CDLL(None))
    if not numbers:
        return None
    if len(numbers) != 1:
        raise _too_many(len(numbers))
    os.set_inheritable(numbers[0], False)
    try:
        handed = socket.socket(fileno=numbers[0])
    except OSError:
        raise InheritedError("What the service manager handed over is no socket.") from None
    if handed.family != socket.AF_UNIX or handed.type != socket.SOCK_STREAM:
        handed.close()
        raise InheritedError("What the service manager handed over is no Unix stream socket.")
    return handed


def accepts(handed: socket.socket) -> bool:
    """Tell whether clients connect to this socket, so that an agent is to serve it."""
    if sys.platform != "linux":
        return True  # launchd has no others for us, and not every macOS can be asked
    return bool(handed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def by_launchd(library: ctypes.CDLL) -> list[int]:
    """Return the descriptors that launchd hands over, by the calls in `library`.

    Raises InheritedError where it refuses.
    """
    from tokenward_agent import launchd

    try:
        return launchd.descriptors(library)
    except OSError as error:
        raise InheritedError(
            f"The socket is not handed over by launchd: {error.strerror}."
        ) from None


def _by_systemd(environ: MutableMapping[str, str]) -> list[int]:
    meant_for = environ.pop("LISTEN_PID", "")
    count = environ.pop("LISTEN_FDS", "") or "0"
    for name in ("LISTEN_FDNAMES", "LISTEN_PIDFDID"):
        environ.pop(name, None)
    if meant_for != str(os.getpid()):
        return []
    if count not in {"0", "1"}:
        raise _too_many(count)
    return [_FIRST] * int(count)


def _too_many(count: object) -> InheritedError:
    return InheritedError(f"The service manager handed over {count} descriptors instead of one.")
