"""The terminal for a prompt about a requester: its own one, as the agent sees it, or none.

The kernel gives only the device number of a process' terminal. That does not identify it: each
instance of devpts (a container's, or one that a program mounts for itself) numbers its terminals
from 0, so `pts/0` of the requester and `/dev/pts/0` of the agent may differ. The open files of the
process tell: one of them has to be the very file, of the same file system, that the agent would
open, and no other terminal of that number may be open there.

Refuses to guess: if no process of the requester has its terminal open, or one has another terminal
of that number open, the prompt has no terminal. It does not stop a program that opens another
terminal of the user itself, as it may.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

assert sys.platform == "linux"

import os
import re
import stat
import termios

from tokenward_agent.peer.proc import open_process_folder, read_groups
from tokenward_agent.peer.process import terminal_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenward_agent.peer.process import Process
    from tokenward_agent.peer.requester import Requester

_LOCAL_FLAGS: Final = 3
_MOST_OPEN: Final = 1024
_TERMINAL: Final = re.compile(r"(/dev)?(/pts)?/(console|tty)?[0-9]*")
"""Links in /proc/PID/fd that may lead to a terminal; others are not followed: disks may hang."""


def terminal_of(requester: Requester) -> str:
    """Return the path of the requester's terminal, "" if it is uncertain."""
    device = next((d for link in requester.chain if (d := link.process.terminal)), 0)
    name = terminal_name(device)
    if not name:
        return ""
    path = f"/dev/{name}"
    try:
        here = os.stat(path)
    except OSError:
        return ""
    if not stat.S_ISCHR(here.st_mode) or here.st_rdev != device:
        return ""
    if not name.startswith("pts/"):
        return path  # outside of devpts a number means the same device everywhere
    ours = (link.process for link in requester.chain if link.process.terminal == device)
    systems = {found.st_dev for process in ours for found in _open_terminals(process, device)}
    return path if systems == {here.st_dev} else ""


def why_not_here(path: str, process: Process) -> str:
    """Say why a prompt may not take a terminal while a command runs there; "" if it may.

    A full-screen program reads each key itself, and would get what is meant for the prompt. A
    command that the shell has put into the background leaves the terminal to others.
    """
    try:
        group, foreground = read_groups(process)
        file = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            is_raw = not termios.tcgetattr(file)[_LOCAL_FLAGS] & termios.ICANON
        finally:
            os.close(file)
    except (OSError, ValueError, IndexError, termios.error):
        return "its terminal cannot be used"
    if group != foreground:
        return "the command is not in the foreground of its terminal"
    return "a full-screen program has its terminal" if is_raw else ""


def _open_terminals(process: Process, device: int) -> Iterator[os.stat_result]:
    """Yield the open terminals of a process that have this number."""
    try:
        with open_process_folder(process) as folder:
            fds = os.open("fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
            try:
                for number in os.listdir(fds)[:_MOST_OPEN]:
                    if _TERMINAL.fullmatch(os.readlink(number, dir_fd=fds)) is None:
                        continue
                    found = os.stat(number, dir_fd=fds)
                    if stat.S_ISCHR(found.st_mode) and found.st_rdev == device:
                        yield found
            finally:
                os.close(fds)
    except OSError:
        return  # it ended, or cannot be read
