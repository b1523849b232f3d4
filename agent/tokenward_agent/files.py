"""Files of our own: opened so that nothing is followed, waited for or inherited, and brought to the disk.

- `opened` follows no link, waits for no FIFO, and no program that is started gets the descriptor;
- `read_into` reads into the caller's memory, with no object made of what it reads.
"""

from __future__ import annotations

import errno
import os
import stat
import sys

from tokenward_os.files import SAFE

if sys.platform == "win32":

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

else:

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
