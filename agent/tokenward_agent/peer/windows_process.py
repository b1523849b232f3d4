"""The process at the other end of a pipe, on Windows.

Windows gives the number of the process that opened the pipe; it counts if it began before the
connection was accepted. psutil reads its parents and its command line; if psutil fails, only the
process' own program is known.
"""

from __future__ import annotations

import sys

assert sys.platform == "win32"

import os
from typing import cast

import psutil

from tokenward_agent.peer.process import Process
from tokenward_agent.peer.psutil_process import chain_of
from tokenward_agent.windows.process import executable_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

    from tokenward_agent.windows.pipe import Pipe


def chain_behind(sock: socket.socket, accepted: float) -> tuple[Process, ...]:
    """Return the chain of the peer. `accepted` is in seconds since 1970. Raises OSError."""
    pid = cast("Pipe", sock).client()
    path, began = executable_of(pid)
    if began > accepted:
        return ()
    try:
        found = chain_of(pid, accepted)
    except (psutil.Error, OSError):
        found = ()
    return found or (Process(pid, 0, 0, 0, os.path.basename(path), path, closed=True),)
