"""On which terminal a question about an asker can be put: its own, as the agent sees it, or none.

The kernel tells of a process the number of its terminal's device and nothing more. That is not the
whole name of one: each instance of devpts (a container's, one that a program mounts for itself)
numbers its terminals from 0, so `pts/0` of the asker and `/dev/pts/0` of the agent may be two. What a
process has open says which it is: there a terminal of that number has to be the very file that the
agent would open, of the same file system, and no other of that number may be open there.

Refuses to guess: where none of the asker's processes has its terminal open, or one has another, there
is none to ask at. What it does not stop: a program that opens your other terminal itself, which it may.
"""

from __future__ import annotations

import sys

assert sys.platform == "linux"

import os
import re
import stat

from tokenward_agent.asking.proc import lend
from tokenward_agent.asking.process import terminal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from tokenward_agent.asking.asker import Asker
    from tokenward_agent.asking.process import Process

_MOST_OPEN: Final = 1024
_TERMINAL: Final = re.compile(r"(/dev)?(/pts)?/(console|tty)?[0-9]*")
"""How a link in /proc/PID/fd looks that may lead to one. No other is followed: disks may hang."""


def terminal_of(asker: Asker) -> str:
    """Return the path of the asking processes' terminal, "" where there is none for certain."""
    device = next((d for link in asker.chain if (d := link.process.terminal)), 0)
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
        return path  # such a number means the same device everywhere
    ours = (link.process for link in asker.chain if link.process.terminal == device)
    systems = {found.st_dev for process in ours for found in _open(process, device)}
    return path if systems == {here.st_dev} else ""


def _open(process: Process, device: int) -> Iterator[os.stat_result]:
    """Yield what a process has open that is a terminal with this number."""
    try:
        with lend(process) as folder:
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
        return  # it ended, or is closed to others
