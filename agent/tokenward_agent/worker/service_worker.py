"""A worker that a service manager starts for one job, outside of the agent's sandbox: both ends.

Under such a manager neither the agent nor a child of it may open a network connection. So a unit of
its own does the jobs that need the network, a keyring or a screen: each connection to its socket
starts a new worker. The job may hold a key, so the agent first checks the listener: it must be the
manager, whose child this agent is.

The worker has none of the restrictions of the agent's unit, so it serves only the agent: any other
peer, perhaps in a sandbox, could have a program of its choice run outside of it. The peer is the agent
if the kernel says that its cgroup is the agent's unit. From there on it is a worker like any other
(main.py): a job on stdin, its answer on stdout, and the socket of a requester who may hang up as
descriptor 3. When the agent hangs up, it ends with all its children.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

assert sys.platform != "win32"

import contextlib
import os
import select
import signal
import socket
import threading
import time

from tokenward_agent.peer_credentials import pid_and_uid
from tokenward_agent.worker.job import WATCHED
from tokenward_agent.worker.main import main

if TYPE_CHECKING:
    from collections.abc import Mapping

WORKERS: Final = "TOKENWARD_WORKERS"
"""The variable in which the agent's unit names the workers' socket."""

_OUTSIDE: Final = frozenset({"keyring", "program", "command", "consent", "index", "relay"})
"""First words of the jobs that need more than the agent may have."""


UNIT: Final = "tokenward.service"
_MOMENT: Final = 0.5
"""Seconds for a worker to end by itself after its answer, once the agent has hung up."""


def job_socket(job: str, environ: Mapping[str, str]) -> str:
    """Return the socket of the workers that do a job, "" if a child of the agent does it."""
    return environ.get(WORKERS, "") if job.partition("-")[0] in _OUTSIDE else ""


def connect(path: str, watched: int | None) -> socket.socket:
    """Return a connection to a new worker. Raises OSError, also if another process listens."""
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


def serve(connection: socket.socket) -> int:
    """Do the one job; return the exit code."""
    if UNIT not in unit_names(listening_pid(connection)):
        return 2
    _, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
    for number in (0, 1):
        os.dup2(connection.fileno(), number)
    connection.close()
    for watched in descriptors:
        if watched != WATCHED:
            os.dup2(watched, WATCHED, inheritable=False)
            os.close(watched)
    threading.Thread(target=_end_with_the_agent, daemon=True).start()
    sys.argv[0] = "tokenward"  # the name that KWallet shows in its prompt
    main()
    return 0


def unit_names(process: int) -> set[str]:
    """Return the last parts of a process' cgroups, {} if they cannot be read."""
    with contextlib.suppress(OSError), open(f"/proc/{process}/cgroup", "rb") as file:
        return {os.fsdecode(line).rstrip("\n").rpartition("/")[2] for line in file}
    return set()


def _end_with_the_agent() -> None:
    poll = select.poll()
    poll.register(0, 0)  # a hang-up is always reported
    poll.poll()
    time.sleep(_MOMENT)
    os.killpg(0, signal.SIGKILL)
