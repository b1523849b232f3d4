"""The agent's own files: opened safely, read into the caller's memory, flushed to the disk.

- `open_file` follows no link, does not wait for a FIFO, and no child process inherits the descriptor;
- `read_into` makes no object of what it reads.
"""

from __future__ import annotations

import errno
import os
import stat
import sys

from tokenward_os.files import SAFE

if sys.platform == "win32":

    def open_file(path: str, flags: int, mode: int = 0o600) -> int:
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
        """Read once into *view*; return the number of bytes. Raises OSError."""
        with open(file, "rb", buffering=0, closefd=False) as stream:
            return stream.readinto(view)

    def sync(path: str) -> None:
        """Flush a file to the disk. Raises OSError."""
        file = open_file(path, os.O_RDWR)  # Windows flushes only a file that is open for writing
        try:
            os.fsync(file)
        finally:
            os.close(file)

    def sync_folder(path: str) -> None:
        """Do nothing: NTFS journals its folders and has no call to flush one."""

else:

    def open_file(path: str, flags: int, mode: int = 0o600) -> int:
        """Open a file. Raises OSError, also for a link."""
        return os.open(path, flags | SAFE, mode)

    def read_into(file: int, view: memoryview) -> int:
        """Read once into *view*; return the number of bytes. Raises OSError."""
        return os.readv(file, [view])

    def sync(path: str) -> None:
        """Flush a file to the disk. Raises OSError."""
        file = open_file(path, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)

    def sync_folder(path: str) -> None:
        """Flush a folder to the disk. Raises OSError."""
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
