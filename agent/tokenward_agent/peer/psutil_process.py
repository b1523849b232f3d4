"""The chain of processes on systems without /proc, by psutil.

Without /proc there is no handle on a process. A process counts if it began before the connection
was accepted; after everything was read its start time is checked again, so that a process that took
its number meanwhile does not count. Windows gives the number of the process that opened the pipe; if
psutil fails there, only that process' own program is known.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, cast

import psutil

from tokenward_agent.peer.process import MOST, Process
from tokenward_agent.peer_credentials import socket_option

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

_ROOTS: Final = {"root", r"NT AUTHORITY\SYSTEM"}
_LOCAL_PEERPID: Final = 2  # sys/un.h of macOS, at level SOL_LOCAL 0; one for every Mac

if sys.platform == "win32":
    import os

    from tokenward_agent.windows.process import executable_of

    if TYPE_CHECKING:
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

else:

    def chain_behind(sock: socket.socket, accepted: float) -> tuple[Process, ...]:
        """Return the chain of the peer. `accepted` is in seconds since 1970. Raises OSError."""
        return chain_of(socket_option(sock, 0, _LOCAL_PEERPID), accepted)


def chain_of(pid: int, accepted: float) -> tuple[Process, ...]:
    """Return the chain of a process that existed at `accepted`, in seconds since 1970."""
    found: list[Process] = []
    try:
        process: psutil.Process | None = psutil.Process(pid)
        began = psutil.Process(pid).create_time()
        latest = accepted
        while process is not None and process.pid > 1 and len(found) < MOST:
            if process.create_time() > latest:
                break
            latest = process.create_time()
            found.append(_read(process))
            process = process.parent()  # psutil itself compares the times of parent and child
            if process is None:
                found[-1] = found[-1]._replace(parent=0)
        if psutil.Process(pid).create_time() != began:
            return ()
    except psutil.Error:
        pass
    return tuple(found)


def _read(process: psutil.Process) -> Process:
    with process.oneshot():
        exe = _or_nothing(process.exe)
        return Process(
            process.pid,
            process.ppid(),
            0,
            0,
            process.name(),
            exe,
            _or_nothing(process.cwd),
            tuple(_or_nothing(lambda: "\0".join(process.cmdline())).split("\0")),
            whole=True,
            closed=not exe and _or_nothing(process.username) not in _ROOTS,
        )


def _or_nothing(read: Callable[[], str]) -> str:
    try:
        return read()
    except psutil.Error:
        return ""
