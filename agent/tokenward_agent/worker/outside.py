"""A worker that a service manager started for one job: the process at the end of a connection.

It has none of the filters of the agent's unit, so it is for the agent alone: whoever else connects,
from a sandbox perhaps, would get a program of their choice run outside of it. The agent is who runs
in the agent's unit, by the cgroup that the kernel says. From there on it is a worker like any other
(main.py): a job on stdin, its answer on stdout, and if somebody may hang up, their socket as
descriptor 3. It ends with all that it has started when the agent hangs up.
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
from tokenward_agent.worker.managed import server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

UNIT: Final = "tokenward.service"

_MOMENT: Final = 0.5
"""Seconds that a worker has for ending by itself, once it has answered and nobody listens."""


def serve(connection: socket.socket) -> int:
    """Do the one job; return the exit code."""
    if UNIT not in units(server(connection)):
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
    sys.argv[0] = "tokenward"  # the name that KWallet shows to the person whom it asks
    main()
    return 0


def units(process: int) -> set[str]:
    """Return the last parts of a process' cgroups, {} where nothing can be said."""
    with contextlib.suppress(OSError), open(f"/proc/{process}/cgroup", "rb") as file:
        return {os.fsdecode(line).rstrip("\n").rpartition("/")[2] for line in file}
    return set()


def _end_with_the_agent() -> None:
    poll = select.poll()
    poll.register(0, 0)  # a hang-up is always told
    poll.poll()
    time.sleep(_MOMENT)
    os.killpg(0, signal.SIGKILL)
