"""The agent's own files: opened safely, read into the caller's memory, replaced as a whole.

- `open_file` follows no link, does not wait for a FIFO, and no child process inherits the descriptor;
- `read_into` makes no object of what it reads;
- the loop reads the small files of the state folder, so `open_plain` and `read_object` refuse
  anything but a plain file, and read a bounded size;
- a new file is complete and on the disk before it gets the name, and the folder is on the disk before
  `replace` returns.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shlex
import stat
import sys
from typing import Final, NamedTuple

from tokenward_os.files import SAFE, uid

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


MAX_SIZE: Final = 16 << 20
"""Bytes of the largest file that is read; tombstones of ten thousand credentials take one MiB."""


class ClosedPath(NamedTuple):
    """A file or folder that its owner has closed to itself, and the command that opens it again."""

    path: str
    mode: int
    remedy: str


def closed_to_its_owner(path: str) -> ClosedPath | None:
    """Return what keeps this user from a path of its own: itself, or the first folder that exists above."""
    if sys.platform == "win32":  # a mode says nothing there
        return None
    place = path
    while place.strip("/"):
        with contextlib.suppress(OSError):  # it does not exist, or a folder above is closed
            found = os.lstat(place)
            is_folder, mode = stat.S_ISDIR(found.st_mode), stat.S_IMODE(found.st_mode)
            wanted, words = (0o700, "u+rwx") if is_folder else (0o600, "u+rw")
            if found.st_uid == uid() and mode & wanted != wanted:
                return ClosedPath(place, mode, f"chmod {words} {shlex.quote(place)}")
            if is_folder:
                return None
        place = os.path.dirname(place)
    return None


def open_plain(path: str) -> int:
    """Open a file for reading. Raises OSError, also for a link or a file that is not plain."""
    file = open_file(path, os.O_RDONLY)
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    raise OSError(errno.EINVAL, "it is not a plain file")


def read_object(path: str) -> dict[str, object]:
    """Return the JSON object in a file, or {} if it has no object or cannot be read."""
    try:
        with open(open_plain(path), "rb") as file:
            held = json.loads(file.read(MAX_SIZE))
    except (OSError, ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}


def file_identity(path: str) -> tuple[int, int] | None:
    """Return what distinguishes a file from one that replaces it; None if there is no file."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def replace(path: str, data: bytes | memoryview) -> None:
    """Replace a file with *data*, closed to other users. Raises OSError; then it is unchanged."""
    write(path, data, lasting=True)


def write(path: str, data: bytes | memoryview, *, lasting: bool = False) -> None:
    """Do as `replace`, but flush to the disk only if `lasting`. Raises OSError."""
    fresh = f"{path}.{os.urandom(4).hex()}.tmp"
    try:
        _write(fresh, data, lasting=lasting)
        os.replace(fresh, path)
        if lasting:
            sync_folder(os.path.dirname(path))
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(fresh)
        raise


def _write(path: str, data: bytes | memoryview, *, lasting: bool) -> None:
    file = open_file(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
        if lasting:
            os.fsync(file)
    finally:
        os.close(file)
