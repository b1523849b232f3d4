"""The agent's side of workers that a service manager starts, outside of the agent's sandbox.

Under such a manager neither the agent nor a child of it may open a network connection. So a unit of
its own does the jobs that need the network, a keyring or a screen: each connection to its socket
starts a new worker (service_worker.py).

The job may hold a key, so the listener is checked first: it must be the manager, whose child this
agent is.
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
"""The variable in which the agent's unit names the workers' socket."""

_OUTSIDE: Final = frozenset({"keyring", "program", "consent", "relay"})
"""First words of the jobs that need more than the agent may have."""


def job_socket(job: str, environ: Mapping[str, str]) -> str:
    """Return the socket of the workers that do a job, "" if a child of the agent does it."""
    return environ.get(WORKERS, "") if job.partition("-")[0] in _OUTSIDE else ""


def connect(path: str, watched: int | None) -> socket.socket:
    """Return a connection to a new worker, which gets `watched`, too. Raises OSError.

    PermissionError if another process than the manager listens.
    """
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        found.setblocking(False)
        found.connect(path)
        if listening_pid(found) != os.getppid():
            raise PermissionError(0, "another process listens there")
        socket.send_fds(found, [b"\0"], [] if watched is None else [watched])
    except BaseException:
        found.close()
        raise
    return found


def listening_pid(connection: socket.socket) -> int:
    """Return the id of the process at the other end, the listener or the peer."""
    if sys.platform != "linux":
        raise NotImplementedError  # only systemd starts such workers
    return pid_and_uid(connection)[0]
