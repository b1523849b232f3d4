"""How the systems open a file so that nothing is followed, waited for or inherited.

- `opened` follows no link, waits for no FIFO, and no program that is started gets the descriptor;
- `read_into` reads into the caller's memory, with no object made of what it reads;
- `uid` is what a file's owner has to be for the file to be this user's. On Windows a file has its
  access list from the folder that it lies in, and the user's own folders let nobody else in: there
  every file has owner 0, and so has the user.
"""

from __future__ import annotations

import errno
import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

if sys.platform == "win32":
    CLOSED: Final = os.O_BINARY | os.O_NOINHERIT
    """Flags for a descriptor that no program inherits."""

    SETTINGS: Final = CLOSED
    """Flags for a file of the user's, which may be a link, and a FIFO by mistake."""

    SAFE: Final = CLOSED

    def opened(path: str, flags: int, mode: int = 0o600) -> int:
        """Open a file. Raises OSError, also for a link."""
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            pass
        else:
            if stat.S_ISLNK(found.st_mode) or found.st_reparse_tag:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        return os.open(path, flags | SAFE, mode)

    def read_into(file: int, view: memoryview) -> int:
        """Read once into *view*; return how many bytes. Raises OSError."""
        with open(file, "rb", buffering=0, closefd=False) as stream:
            return stream.readinto(view)

    def sync(path: str) -> None:
        """Bring what a file holds to the disk. Raises OSError."""
        file = opened(path, os.O_RDWR)  # who may not write has nothing to flush
        try:
            os.fsync(file)
        finally:
            os.close(file)

    def sync_folder(path: str) -> None:
        """Do nothing: NTFS keeps a journal of its folders, and has no call for one."""

    def uid() -> int:
        """Return the number that stands for this user: Windows has none."""
        return 0

else:
    CLOSED: Final = os.O_CLOEXEC
    """Flags for a descriptor that no program inherits."""

    SETTINGS: Final = os.O_CLOEXEC | os.O_NONBLOCK
    """Flags for a file of the user's, which may be a link, and a FIFO by mistake."""

    SAFE: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK

    def opened(path: str, flags: int, mode: int = 0o600) -> int:
        """Open a file. Raises OSError, also for a link."""
        return os.open(path, flags | SAFE, mode)

    def read_into(file: int, view: memoryview) -> int:
        """Read once into *view*; return how many bytes. Raises OSError."""
        return os.readv(file, [view])

    def sync(path: str) -> None:
        """Bring what a file holds to the disk. Raises OSError."""
        file = opened(path, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)

    def sync_folder(path: str) -> None:
        """Bring what a folder holds to the disk. Raises OSError."""
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def uid() -> int:
        """Return this process' effective user id."""
        return os.geteuid()
