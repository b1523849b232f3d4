"""The user id of a connection's peer, from the kernel.

It is the uid at the time of connecting; a peer that gives up privileges later keeps it. Refuses to
guess: if the system does not tell the uid, that is an OSError and the peer is not admitted.
"""

from __future__ import annotations

import sys

from tokenward_agent.peer_credentials import uid_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket


def peer_uid(connection: socket.socket) -> int:
    """Return the peer's effective user id. Raise OSError if the kernel does not tell it."""
    if sys.platform == "win32":
        return 0  # only the user that `files.uid` stands for can open the pipe
    return uid_of(connection)


def is_admitted(peer: int, own: int) -> bool:
    """Tell whether a peer is the agent's own user; other users, even root, are not admitted.

    If the agent runs as root, root is its own user.
    """
    return peer == own
