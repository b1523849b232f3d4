"""A process as /proc shows it, and the processes above it, each read without mistaking it.

A process is read through a descriptor of its folder in /proc, which belongs to that process and to
none that gets its number later: once it has ended, every read through it fails. So only the opening
of the folder, which goes by number, has to be checked: for a parent by asking its child, after the
opening, whether that is still its parent, and for the first process by the connection's own handle.

The kernel remembers which process connected. SO_PEERPIDFD (Linux 6.5) gives a handle on that very
process, whenever it is asked for; a number alone may belong to another one by then. It is asked for
when somebody needs to know and given back at once: a connection costs no second descriptor. Where
there is no such handle, a process counts only if it was there before the connection was accepted.

Source of the formats: proc_pid_stat(5), proc_pid_cmdline(5), proc_pid_cgroup(5),
proc_pid_status(5). What cannot be read (another user's process, one that is closed to others) is
empty, never an error. Root's own are a normal case above a login, cron or sudo, and not held against
whoever they started; every other process that cannot be looked into is `closed`. A chain goes on
above the program of its terminal, as any program may give what it starts a terminal of its own; one that
ends before the first process has a parent that was not seen (asker.py).
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import sys

from tokenward_agent.asking.process import MOST, Process
from tokenward_agent.peer_credentials import number, pid_and_uid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Final

assert sys.platform == "linux"  # noqa: S101 - it is what type checkers read

_PEERPIDFD: Final = {0x0040: 0x0056, 0x4011: 0x404B}  # asm/socket.h of SPARC and PA-RISC
_SO_PEERPIDFD: Final = getattr(socket, "SO_PEERPIDFD", _PEERPIDFD.get(socket.SO_PEERCRED, 77))
"""By what SO_PEERCRED is an architecture shows; all others have 77. Not in Python's socket before 3.14."""

ARGUMENT_BYTES: Final = 128 * 1024
"""Bytes of a command line that are read; a longer one is not judged at all."""

_PARENT, _TERMINAL, _FLAGS, _BEGAN = 4 - 3, 7 - 3, 9 - 3, 22 - 3
_FORKED: Final = 0x40  # PF_FORKNOEXEC of linux/sched.h: it runs what its parent runs


def chain_behind(sock: socket.socket, accepted: float) -> tuple[Process, ...]:
    """Return the chain of whoever connected. `accepted` is in seconds since boot. Raises OSError."""
    pid, _ = pid_and_uid(sock)
    try:
        pidfd = number(sock, socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError as error:
        if error.errno != errno.ENOPROTOOPT:
            raise  # it has ended
        ticks = os.sysconf("SC_CLK_TCK")
        return chain(pid, lambda process: process.started / ticks <= accepted)
    try:
        return chain(pid, lambda _process: _lives(pidfd))
    finally:
        os.close(pidfd)


def _lives(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return not poll.poll(0)


def parse_stat(data: bytes) -> Process:
    """Return what /proc/PID/stat says. Raises ValueError, IndexError for anything else.

    The name stands in parentheses and may hold any byte, a parenthesis too; so it ends at the last.
    """
    before, _, rest = data.rpartition(b") ")
    pid, _, name = before.partition(b" (")
    fields = rest.split(
        None, _BEGAN + 1
    )  # fields are numbered from one; the third is the first here
    terminal, began = int(fields[_TERMINAL]), int(fields[_BEGAN])
    return Process(int(pid), int(fields[_PARENT]), began, terminal, os.fsdecode(name))


def unit_of(data: bytes) -> str:
    """Return the innermost service or scope that /proc/PID/cgroup names, "" if there is none."""
    for line in data.splitlines():
        number, _, path = line.partition(b"::")
        if number == b"0":
            parts = os.fsdecode(path).split("/")
            return next((p for p in reversed(parts) if p.endswith((".service", ".scope"))), "")
    return ""


def chain(pid: int, is_it: Callable[[Process], bool]) -> tuple[Process, ...]:
    """Return a process and those above it, up to the first process.

    `is_it` is asked once the folder of `pid` is open, and has to tell whether that is the process
    that was meant. Empty where it is not, or where it ended before it had been read.
    """
    found: list[Process] = []
    below = -1
    try:
        while pid > 1 and len(found) < MOST:
            folder = os.open(f"/proc/{pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                process = parse_stat(_content(folder, "stat"))
                ours = is_it(process) if below < 0 else _parent(below) == pid
                if not ours:
                    break
                found.append(_looked_into(folder, process, first=below < 0))
            finally:
                if below >= 0:
                    os.close(below)
                below = folder
            pid = process.parent
    except (OSError, ValueError, IndexError):
        pass  # it ended, or /proc is hidden: the last one that was read has a parent that was not
    finally:
        if below >= 0:
            os.close(below)
    return tuple(found)


@contextlib.contextmanager
def lend(process: Process) -> Iterator[int]:
    """Lend the folder in /proc of a process that was seen before. Raises OSError if it ended."""
    folder = os.open(f"/proc/{process.pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if parse_stat(_content(folder, "stat")).started != process.started:
            raise ProcessLookupError
        yield folder
    finally:
        os.close(folder)


def _parent(folder: int) -> int:
    return int(_content(folder, "stat").rpartition(b") ")[2].split(None, _PARENT + 1)[_PARENT])


def _looked_into(folder: int, process: Process, *, first: bool) -> Process:
    argv = _content_if_any(folder, "cmdline", ARGUMENT_BYTES)
    exe = _link(folder, "exe")
    return process._replace(
        exe=exe,
        cwd=_link(folder, "cwd"),
        argv=tuple(os.fsdecode(argv).removesuffix("\0").split("\0")) if argv else (),
        whole=0 < len(argv) < ARGUMENT_BYTES,
        unit=unit_of(_content_if_any(folder, "cgroup", 4096)) if first else "",
        closed=not exe and not _runs_roots(folder, process.parent),
    )


def _runs_roots(folder: int, parent: int) -> bool:
    """Tell whether a process runs a program of root's: as root, or in a process that root's forked.

    The latter is what sshd does for a session: it becomes the user without starting a program. That
    does not count below the first process, to which every process comes whose parent ended.
    """
    if _user(folder) == 0:
        return True
    flags = int(_content(folder, "stat").rpartition(b") ")[2].split(None, _FLAGS + 1)[_FLAGS])
    if parent <= 1 or not flags & _FORKED:
        return False
    above = os.open(f"/proc/{parent}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _user(above) == 0 and _parent(folder) == parent
    finally:
        os.close(above)


def _user(folder: int) -> int:
    """Return the effective user id, which a closed process cannot hide; -1 where it is not told."""
    for line in _content(folder, "status").splitlines():
        if line.startswith(b"Uid:"):
            return int(line.split()[2])
    return -1


def _content(folder: int, name: str, size: int = 4096) -> bytes:
    file = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        return os.read(file, size)
    finally:
        os.close(file)


def _content_if_any(folder: int, name: str, size: int) -> bytes:
    try:
        return _content(folder, name, size)
    except PermissionError:
        return b""


def _link(folder: int, name: str) -> str:
    try:
        return os.readlink(name, dir_fd=folder)
    except (PermissionError, FileNotFoundError):  # the latter: only threads of it are left
        return ""
