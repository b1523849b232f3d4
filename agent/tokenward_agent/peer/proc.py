"""A process in /proc and the processes above it, each read without mistaking it for another.

A process is read through a descriptor of its folder in /proc. The folder belongs to that process
and never to a later one with the same number: once the process has ended, every read fails. So only
the opening, which goes by number, needs a check: after opening a parent's folder its child is asked
whether that is still its parent; the first process is checked by the connection's own handle.

The kernel remembers which process connected. SO_PEERPIDFD (Linux 6.5) returns a handle on that very
process at any time; a number alone may belong to another process by then. The handle is fetched on
demand and closed at once, so a connection costs no second descriptor. On kernels without it, a
process counts only if it began before the connection was accepted.

Sources: proc_pid_stat(5), proc_pid_cmdline(5), proc_pid_cgroup(5), proc_pid_status(5). A value that
cannot be read (of another user's process, or a closed one) is empty, never an error. Processes of
root are normal above a login, cron or sudo, and do not make their children unknown; every other
process that cannot be read is `closed`. A chain goes on above the program that gave the terminal,
since any program may open a terminal for its children. A chain that ends before the first process
has a parent that was not read (requester.py).
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import sys
from typing import TYPE_CHECKING, Final

from tokenward_agent.peer.process import MOST, Process
from tokenward_agent.peer_credentials import pid_and_uid, socket_option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

assert sys.platform == "linux"  # noqa: S101 - for type checkers

_PEERPIDFD: Final = {0x0040: 0x0056, 0x4011: 0x404B}  # asm/socket.h of SPARC and PA-RISC
_SO_PEERPIDFD: Final = getattr(socket, "SO_PEERPIDFD", _PEERPIDFD.get(socket.SO_PEERCRED, 77))
"""Python's socket has it from 3.14 on. SO_PEERCRED tells the architecture; the others have 77."""

ARGUMENT_BYTES: Final = 128 * 1024
"""Bytes of a command line that are read; a longer one makes the process unknown."""

_PARENT, _TERMINAL, _FLAGS, _BEGAN = 4 - 3, 7 - 3, 9 - 3, 22 - 3
_GROUP, _FOREGROUND = 5 - 3, 8 - 3
_FORKED: Final = 0x40  # PF_FORKNOEXEC of linux/sched.h: forked, still runs its parent's program


def chain_behind(sock: socket.socket, accepted: float) -> tuple[Process, ...]:
    """Return the chain of the peer. `accepted` is in seconds since boot. Raises OSError."""
    pid, _ = pid_and_uid(sock)
    try:
        pidfd = socket_option(sock, socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError as error:
        if error.errno != errno.ENOPROTOOPT:
            raise  # it has ended
        ticks = os.sysconf("SC_CLK_TCK")
        return chain(pid, lambda process: process.started / ticks <= accepted)
    try:
        return chain(pid, lambda _process: _is_alive(pidfd))
    finally:
        os.close(pidfd)


def _is_alive(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return not poll.poll(0)


def parse_stat(data: bytes) -> Process:
    """Return the process that /proc/PID/stat describes. Raises ValueError, IndexError.

    The name stands in parentheses and may hold any byte, a parenthesis too; so it ends at the last.
    """
    before, _, rest = data.rpartition(b") ")
    pid, _, name = before.partition(b" (")
    fields = rest.split(None, _BEGAN + 1)  # the manual counts from one; the first here is its third
    terminal, began = int(fields[_TERMINAL]), int(fields[_BEGAN])
    return Process(int(pid), int(fields[_PARENT]), began, terminal, os.fsdecode(name))


def read_groups(process: Process) -> tuple[int, int]:
    """Return the process group of a process, and the one in the foreground of its terminal.

    The second is -1 if it has no terminal. Raises OSError if the process has ended.
    """
    with open_process_folder(process) as folder:
        fields = _read_content(folder, "stat").rpartition(b") ")[2].split(None, _FOREGROUND + 1)
    return int(fields[_GROUP]), int(fields[_FOREGROUND])


def unit_of(data: bytes) -> str:
    """Return the innermost service or scope that /proc/PID/cgroup names, "" if it names none."""
    for line in data.splitlines():
        number, _, path = line.partition(b"::")
        if number == b"0":
            parts = os.fsdecode(path).split("/")
            return next((p for p in reversed(parts) if p.endswith((".service", ".scope"))), "")
    return ""


def chain(pid: int, is_it: Callable[[Process], bool]) -> tuple[Process, ...]:
    """Return a process and those above it, up to the first process.

    `is_it` is called once the folder of `pid` is open and tells whether it is the process that was
    meant. Empty if it is not, or if it ended before it was read.
    """
    found: list[Process] = []
    below = -1
    try:
        while pid > 1 and len(found) < MOST:
            folder = os.open(f"/proc/{pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                process = parse_stat(_read_content(folder, "stat"))
                ours = is_it(process) if below < 0 else _read_parent(below) == pid
                if not ours:
                    break
                found.append(_inspect(folder, process, first=below < 0))
            finally:
                if below >= 0:
                    os.close(below)
                below = folder
            pid = process.parent
    except (OSError, ValueError, IndexError):
        pass  # it ended, or /proc is hidden: the chain ends with an unread parent
    finally:
        if below >= 0:
            os.close(below)
    return tuple(found)


@contextlib.contextmanager
def open_process_folder(process: Process) -> Iterator[int]:
    """Lend the folder in /proc of a process that was read before. Raises OSError if it ended."""
    folder = os.open(f"/proc/{process.pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if parse_stat(_read_content(folder, "stat")).started != process.started:
            raise ProcessLookupError
        yield folder
    finally:
        os.close(folder)


def _read_parent(folder: int) -> int:
    return int(_read_content(folder, "stat").rpartition(b") ")[2].split(None, _PARENT + 1)[_PARENT])


def _inspect(folder: int, process: Process, *, first: bool) -> Process:
    argv = _read_content_if_any(folder, "cmdline", ARGUMENT_BYTES)
    exe = _read_link(folder, "exe")
    return process._replace(
        exe=exe,
        cwd=_read_link(folder, "cwd"),
        argv=tuple(os.fsdecode(argv).removesuffix("\0").split("\0")) if argv else (),
        whole=0 < len(argv) < ARGUMENT_BYTES,
        unit=unit_of(_read_content_if_any(folder, "cgroup", 4096)) if first else "",
        closed=not exe and not _runs_roots(folder, process.parent),
    )


def _runs_roots(folder: int, parent: int) -> bool:
    """Tell whether a process runs root's program: as root, or forked from a process of root.

    sshd does the latter for a session: it becomes the user without starting a program. A child of
    the first process does not count: every process whose parent ended becomes one.
    """
    if _read_uid(folder) == 0:
        return True
    flags = int(_read_content(folder, "stat").rpartition(b") ")[2].split(None, _FLAGS + 1)[_FLAGS])
    if parent <= 1 or not flags & _FORKED:
        return False
    above = os.open(f"/proc/{parent}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _read_uid(above) == 0 and _read_parent(folder) == parent
    finally:
        os.close(above)


def _read_uid(folder: int) -> int:
    """Return the effective user id, which even a closed process shows; -1 if it is not shown."""
    for line in _read_content(folder, "status").splitlines():
        if line.startswith(b"Uid:"):
            return int(line.split()[2])
    return -1


def _read_content(folder: int, name: str, size: int = 4096) -> bytes:
    file = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        return os.read(file, size)
    finally:
        os.close(file)


def _read_content_if_any(folder: int, name: str, size: int) -> bytes:
    try:
        return _read_content(folder, name, size)
    except PermissionError:
        return b""


def _read_link(folder: int, name: str) -> str:
    try:
        return os.readlink(name, dir_fd=folder)
    except (PermissionError, FileNotFoundError):  # the latter: its main thread has ended
        return ""
