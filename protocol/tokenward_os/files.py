"""How the systems open a file so that nothing is waited for or inherited, and whose a file is.

`uid` is what the owner of a file of the user's own is to this process. On Windows a file has its
access list from the folder that it lies in, and the user's own folders let nobody else in: there
every file has owner 0, and so has the user.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

if sys.platform == "win32":
    CLOSED: Final = os.O_BINARY | os.O_NOINHERIT
    """Flags for a descriptor that no program inherits."""

    SETTINGS: Final = CLOSED
    """Flags for a file of the user's, which may be a link, and a FIFO by mistake."""

    SAFE: Final = CLOSED
    """Flags for a file of our own, which is no link."""

    def uid() -> int:
        """Return the number that stands for this user: Windows has none."""
        return 0

    def open_to_others(_mode: int) -> bool:
        """Tell that a file's mode says nothing."""
        return False

else:
    CLOSED: Final = os.O_CLOEXEC
    """Flags for a descriptor that no program inherits."""

    SETTINGS: Final = os.O_CLOEXEC | os.O_NONBLOCK
    """Flags for a file of the user's, which may be a link, and a FIFO by mistake."""

    SAFE: Final = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
    """Flags for a file of our own, which is no link."""

    def uid() -> int:
        """Return this process' effective user id."""
        return os.geteuid()

    def open_to_others(mode: int) -> bool:
        """Tell whether a file of this mode may be read or changed by others than its owner."""
        return bool(mode & 0o077)


def missing(folder: str) -> list[str]:
    """Return which of a folder and those above it are not there, the highest first."""
    found: list[str] = []
    while folder and not os.path.isdir(folder) and folder != os.path.dirname(folder):
        found.insert(0, folder)
        folder = os.path.dirname(folder)
    return found


def make_private(folder: str) -> None:
    """Make a folder, and those above that are missing, for nobody else. Raises OSError."""
    for each in missing(folder):
        with suppress(FileExistsError):
            os.mkdir(each, 0o700)
