"""Flags for opening a file without waiting or inheritance, and the owner of a file.

`uid` is the owner of this user's files. On Windows a file has its access list from its folder, and
the user's own folders are closed to other users: there every file has owner 0, and so has the user.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

if sys.platform == "win32":
    CLOSED: Final = os.O_BINARY | os.O_NOINHERIT  # flags for a descriptor that no program inherits
    SETTINGS: Final = CLOSED
    """Flags for a file of the user, which may be a link, or by mistake a FIFO."""

    SAFE: Final = CLOSED  # flags for a file of our own, which must not be a link

    def uid() -> int:
        """Return the number of this user, which Windows does not have."""
        return 0

    def open_to_others(_mode: int) -> bool:
        """Return False: on Windows a file's mode says nothing."""
        return False

else:
    CLOSED: Final = os.O_CLOEXEC  # flags for a descriptor that no program inherits
    SETTINGS: Final = os.O_CLOEXEC | os.O_NONBLOCK
    """Flags for a file of the user, which may be a link, or by mistake a FIFO."""

    SAFE: Final = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
    """Flags for a file of our own, which must not be a link."""

    def uid() -> int:
        """Return this process' effective user id."""
        return os.geteuid()

    def open_to_others(mode: int) -> bool:
        """Return whether users other than the owner may read or change a file of this mode."""
        return bool(mode & 0o077)


def missing(folder: str) -> list[str]:
    """Return the missing ones of a folder and those above it, the highest first."""
    found: list[str] = []
    while folder and not os.path.isdir(folder) and folder != os.path.dirname(folder):
        found.insert(0, folder)
        folder = os.path.dirname(folder)
    return found


def make_private(folder: str) -> None:
    """Make a folder and the missing ones above, closed to other users. Raises OSError."""
    for each in missing(folder):
        try:
            os.mkdir(each, 0o700)
        except FileExistsError:
            continue
