"""A worker that a service manager started for one job: the server's end of a connection.

It has none of the restrictions of the agent's unit, so it serves only the agent: any other peer,
perhaps in a sandbox, could have a program of its choice run outside of it. The peer is the agent if
the kernel says that its cgroup is the agent's unit. From there on it is a worker like any other
(main.py): a job on stdin, its answer on stdout, and the socket of a requester who may hang up as
descriptor 3. When the agent hangs up, it ends with all its children.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import contextlib
import os
import select
import signal
import socket
import threading
import time

from tokenward_agent.worker.job import WATCHED
from tokenward_agent.worker.main import main
from tokenward_agent.worker.worker_units import listening_pid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

UNIT: Final = "tokenward.service"

_MOMENT: Final = 0.5
"""Seconds for a worker to end by itself after its answer, once the agent has hung up."""


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
