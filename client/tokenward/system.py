"""How the systems open a file so that nothing is waited for or inherited, and who the user is.

`uid` is what the owner of a file of the user's own is to this process. On Windows a file has its
access list from the folder that it lies in, and the user's own folders let nobody else in: there
every file has owner 0, and so has the user.
"""

from __future__ import annotations

import os
import sys

if sys.platform == "win32":
    CLOSED = os.O_BINARY | os.O_NOINHERIT
    """Flags for a descriptor that no program inherits."""

    SETTINGS = SAFE = CLOSED
    """Flags for a file of the user's, which may be a link, and a FIFO by mistake."""

    def uid() -> int:
        """Return the number that stands for this user: Windows has none."""
        return 0

    def open_to_others(_mode: int) -> bool:
        """Tell that a file's mode says nothing."""
        return False

    def without_core() -> None:
        """Do nothing: Windows writes no cores."""

else:
    CLOSED = os.O_CLOEXEC
    """Flags for a descriptor that no program inherits."""

    SETTINGS = os.O_CLOEXEC | os.O_NONBLOCK
    """Flags for a file of the user's, which may be a link, and a FIFO by mistake."""

    SAFE = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
    """Flags for a file of our own, which is no link."""

    def uid() -> int:
        """Return this process' effective user id."""
        return os.geteuid()

    def open_to_others(mode: int) -> bool:
        """Tell whether a file of this mode may be read or changed by others than its owner."""
        return bool(mode & 0o077)

    def without_core() -> None:
        """Have no core written of this process: there is a secret in it from now on."""
        import resource

        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
