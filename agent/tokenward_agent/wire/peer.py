"""Who is at the other end of a connection, as far as the kernel says.

The uid is the one at the time of connecting; a peer that gives up privileges later is still who
it was. It refuses to guess: a system that cannot say is an OSError, and the peer is turned away.
"""

from __future__ import annotations

import sys

from tokenward_agent.peer_credentials import uid_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket


def uid(connection: socket.socket) -> int:
    """Return the peer's effective user id. Raises OSError where the kernel does not say."""
    if sys.platform == "win32":
        return 0  # nobody but the user that `files.uid` stands for can open the pipe
    return uid_of(connection)


def admitted(peer: int, own: int) -> bool:
    """Tell whether a peer may ask at all: the agent's own user, nobody else, not even root.

    An agent that runs as root has uid 0, so root is its own user.
    """
    return peer == own
