"""The descriptor that a service manager hands over at the start: sd_listen_fds(3) of systemd.

There is one at most, whatever its name, and what it is says what this process is for: a socket that
accepts is an agent's address, and a connected one is the job of a worker. Variables that speak of
it are taken out of the environment, so that no child believes them meant for itself.
"""

from __future__ import annotations

import os
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Final

_FIRST: Final = 3  # SD_LISTEN_FDS_START


class InheritedError(Exception):
    """What was handed over cannot be served; the text is one sentence for the user."""


def taken(environ: MutableMapping[str, str]) -> socket.socket | None:
    """Return the socket that was handed to this process, None if none was. Raises InheritedError."""
    meant_for = environ.pop("LISTEN_PID", "")
    count = environ.pop("LISTEN_FDS", "")
    for name in ("LISTEN_FDNAMES", "LISTEN_PIDFDID"):
        environ.pop(name, None)
    if meant_for != str(os.getpid()) or count in {"", "0"}:
        return None
    if count != "1":
        raise InheritedError(f"The service manager handed over {count} descriptors instead of one.")
    os.set_inheritable(_FIRST, False)
    try:
        handed = socket.socket(fileno=_FIRST)
    except OSError:
        raise InheritedError("What the service manager handed over is no socket.") from None
    if handed.family != socket.AF_UNIX or handed.type != socket.SOCK_STREAM:
        handed.close()
        raise InheritedError("What the service manager handed over is no Unix stream socket.")
    return handed


def accepts(handed: socket.socket) -> bool:
    """Tell whether clients connect to this socket, so that an agent is to serve it."""
    return bool(handed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
