"""The agent's side of workers that a service manager starts, apart from the agent and its filters.

Under such a manager the agent may not open a network connection, and neither may a process that it
starts itself. What needs the network, a keyring or a screen is done by a unit of its own instead:
whoever connects to its socket gets a fresh worker (outside.py) at the other end.

What is sent there may be a key, so it is looked first who listens: nobody but the manager, whose
child this agent is.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import os
import socket

from tokenward_agent.peer_credentials import pid_and_uid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

WORKERS: Final = "TOKENWARD_WORKERS"
"""The variable by which the agent's unit names the socket of the other one."""

_OUTSIDE: Final = frozenset({"keyring", "program", "consent"})
"""How jobs begin that need more than the agent may have."""


def address(job: str, environ: Mapping[str, str]) -> str:
    """Return the socket at which a job is done, "" if by a child of the agent's own."""
    return environ.get(WORKERS, "") if job.partition("-")[0] in _OUTSIDE else ""


def connected(path: str, watched: int | None) -> socket.socket:
    """Return a connection to a new worker, which gets `watched`, too. Raises OSError.

    PermissionError where somebody else than the manager listens.
    """
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        found.setblocking(False)
        found.connect(path)
        if server(found) != os.getppid():
            raise PermissionError(0, "somebody else listens there")
        socket.send_fds(found, [b"\0"], [] if watched is None else [watched])
    except BaseException:
        found.close()
        raise
    return found


def server(connection: socket.socket) -> int:
    """Return the process at the other end: that listened there, or that connected to us."""
    if sys.platform != "linux":
        raise NotImplementedError  # only systemd starts workers
    return pid_and_uid(connection)[0]
