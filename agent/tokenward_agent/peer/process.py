"""One process as it was read, on any system.

The process itself chose all text in here; it is bounded where it is read and escaped where it is
shown. A value that cannot be read is empty, never an error.
"""

from __future__ import annotations

import os
import sys
from typing import Final, NamedTuple

MOST: Final = 32  # processes of a chain that are read, the peer included


class Process(NamedTuple):
    """A process as it was read; "" and () stand for values that could not be read.

    `started` is in clock ticks since boot, `terminal` the number of its device, 0 for none, and
    `parent` 0 for none. `whole` tells whether `argv` is the complete command line. Only the first
    of a chain has a `unit`. `closed` means that it could not be read and is not root's: then what
    it runs is only its own claim.
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
    """Return the name of a terminal's device number as in /dev, "" for none or an unknown one.

    Source: Documentation/admin-guide/devices.txt of Linux.
    """
    if sys.platform == "win32":
        return ""
    major = os.major(device)
    if 136 <= major <= 143:
        return f"pts/{(major - 136) * 256 + os.minor(device)}"
    return f"tty{os.minor(device)}" if major == 4 and os.minor(device) < 64 else ""
