"""One process as it was seen, whatever system it was seen on.

All text in here is what the process itself chose to say; it is bounded where it is read and escaped
where it is shown. What cannot be read is empty, never an error.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

MOST: Final = 32
"""Processes of a chain that are looked at, the asking one among them."""


class Process(NamedTuple):
    """A process as it was seen; "" and () stand for what could not be.

    `started` is in clock ticks since boot and `terminal` the number of its device, 0 for none.
    `parent` is 0 where there is none. `whole` tells whether `argv` is all of the command line. `unit`
    is that of the first of a chain. `closed` says that it could not be looked into and is not root's:
    what runs there is only what it says of itself.
    """

    pid: int
    parent: int
    started: int
    terminal: int
    name: str
    exe: str = ""
    cwd: str = ""
    argv: tuple[str, ...] = ()
    whole: bool = False
    unit: str = ""
    closed: bool = False


def is_above_terminal(last: Process, first: Process) -> bool:
    """Tell whether a process gave the first of its chain its terminal: an emulator, tmux, sshd."""
    return first.terminal not in {last.terminal, 0}


def terminal_name(device: int) -> str:
    """Name the terminal of a device number as /dev does, "" for none and for what is unknown.

    Source: Documentation/admin-guide/devices.txt of Linux.
    """
    if sys.platform == "win32":
        return ""
    major = os.major(device)
    if 136 <= major <= 143:
        return f"pts/{(major - 136) * 256 + os.minor(device)}"
    return f"tty{os.minor(device)}" if major == 4 and os.minor(device) < 64 else ""
