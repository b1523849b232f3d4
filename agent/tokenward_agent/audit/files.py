"""The files of the audit log: numbered, bounded in size, the oldest removed.

They lie in `audit` in the state folder (0700, each file 0600) as `00000001.jsonl` and so on. A line
is one `write` to an appending descriptor. When it returns, the kernel has the line, so it outlives
this process; `sync` puts it on the disk before a vault that knows of it. Before each line the open
file is compared with the file at its path: a file that was moved, removed or replaced is left.

The folder must be this user's and not a link, or nothing is written and nothing read; permissions
for others are removed. An entry that is not a plain file of this user, or has another name, is
skipped, never followed and never waited for, and `strays` names it. Nothing here knows the content
of a line.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
import threading
from typing import TYPE_CHECKING, Final

from tokenward_agent.files import sync
from tokenward_agent.vault.errors import VaultError
from tokenward_os.files import SAFE, uid

if sys.platform == "win32":
    from tokenward_agent.vault.windows_folder import WindowsFolder as Folder
else:
    from tokenward_agent.vault.folder import Folder

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_BYTES: Final = 1 << 20  # a file of this size or more gets no further line
FILES: Final = 8  # number of files that are kept
TAIL_BYTES: Final = FILE_BYTES
"""Bytes at a file's end that an agent reads before it goes on with the file."""

_NAME: Final = re.compile(r"([0-9]{8}|[1-9][0-9]{8,11})\.jsonl")
"""Each number has one name; larger numbers than the highest stay possible."""


class LogFiles:
    """The files in `folder`, which may not exist; `number` is that of the open one, 0 for none."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.number = 0
        self.size = 0
        self._path = ""
        self._file = -1
        self._identity = (0, 0)
        self._unsynced: set[int] = set()
        self._syncing = threading.Lock()
        self._made = False

    def path(self, number: int) -> str:
        """Return the path of a file by its number."""
        return os.path.join(self.folder, _file_name(number))

    @contextlib.contextmanager
    def _open_folder(self) -> Iterator[Folder]:
        """Open the folder. Raises VaultError, also if it is a link or another user's."""
        with contextlib.suppress(OSError):  # the check below reports it better
            _make_private(self.folder)
        place = Folder(self.folder)
        try:
            yield place
        finally:
            place.close()

    def numbers(self) -> list[int]:
        """Return the numbers of the existing files, in order. Raises OSError, VaultError."""
        if not os.path.lexists(self.folder):
            return []
        with self._open_folder() as place:
            return _file_numbers(place.names())

    def strays(self) -> list[str]:
        """Return the names of the entries that are not files of the log, in order."""
        found = []
        with contextlib.suppress(OSError, VaultError), self._open_folder() as place:
            for name in sorted(place.names()):
                status = os.lstat(os.path.join(self.folder, name))
                if _NAME.fullmatch(name) is None or not _is_ours(status):
                    found.append(name.encode(errors="backslashreplace").decode())
        return found

    @property
    def is_usable(self) -> bool:
        """Whether the open file is still the one at its path."""
        if self._file < 0:
            return False
        try:
            place, found = os.lstat(self.folder), os.lstat(self._path)
        except OSError:
            return False
        self.size = found.st_size
        private = sys.platform == "win32" or not place.st_mode & 0o077
        return (
            private
            and stat.S_ISDIR(place.st_mode)
            and (found.st_dev, found.st_ino) == self._identity
        )

    def open_last(self) -> bytes:
        """Open the file to go on with, and return its end.

        A file that cannot be used is left alone, and the next number begins. The number of an entry
        that is not a file of the log does not count: a high one would remove all others. Raises
        OSError, VaultError.
        """
        with contextlib.suppress(FileExistsError):
            # Never the state folder above: an agent that lost it has to report that.
            os.mkdir(self.folder, 0o700)
        with self._open_folder() as place:
            last = max(filter(self._is_file, _file_numbers(place.names())), default=0)
            if last:
                with contextlib.suppress(OSError):
                    self._open(place, last, os.O_RDWR)
                    os.lseek(self._file, max(self.size - TAIL_BYTES, 0), os.SEEK_SET)
                    return os.read(self._file, TAIL_BYTES)
        self._open_after(last)
        return b""

    def _is_file(self, number: int) -> bool:
        """Tell whether a number has a plain file of this user, with any number of links."""
        try:
            found = os.lstat(self.path(number))
        except OSError:
            return False
        return stat.S_ISREG(found.st_mode) and found.st_uid == uid()

    def open_next(self) -> None:
        """Go on with a new file. Raises OSError, VaultError; then the file before stays open.

        A number that is taken already is skipped, and no existing file is trusted: one with a high
        number would make all others look old.
        """
        self._open_after(self.number)

    def _open_after(self, last: int) -> None:
        with self._open_folder() as place:
            for number in range(last + 1, last + FILES):
                with contextlib.suppress(FileExistsError):
                    self._open(place, number, os.O_RDWR | os.O_CREAT | os.O_EXCL)
                    return
        raise FileExistsError(errno.EEXIST, "the next files are there already")

    def _open(self, place: Folder, number: int, flags: int) -> None:
        file = place.open(_file_name(number), flags | os.O_APPEND)
        found = os.fstat(file)
        if not _is_ours(found):
            os.close(file)
            raise FileExistsError(self.path(number))
        if sys.platform != "win32":
            os.fchmod(file, 0o600)
        self.close()
        self._file, self.number, self.size = file, number, found.st_size
        self._path = self.path(number)
        self._identity = found.st_dev, found.st_ino
        self._made = self._made or bool(flags & os.O_CREAT)

    def append(self, data: bytes) -> int:
        """Write to the open file and return the number of bytes written. Raises OSError."""
        self._unsynced.add(self.number)
        return os.write(self._file, data)

    def sync(self) -> None:
        """Flush what was written to the disk. Any thread may call it; raises OSError."""
        with self._syncing:  # who finds nothing to flush has to wait for the one that flushes it
            for number in list(self._unsynced):
                self._unsynced.discard(number)
                with contextlib.suppress(FileNotFoundError):
                    sync(self.path(number))
            if self._made:
                with self._open_folder() as place:
                    place.sync()
                self._made = False

    def content(self, number: int, most: int) -> bytes:
        """Return at most `most` bytes of a file; b"" if it is not a readable plain file."""
        try:
            with self._open_folder() as place:
                file = place.open(_file_name(number), os.O_RDONLY)
        except (OSError, VaultError):
            return b""
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                return b""
            with open(file, "rb", closefd=False) as stream:
                return stream.read(most)
        except OSError:
            return b""
        finally:
            os.close(file)

    def remove_before(self, number: int) -> None:
        """Remove the files below a number, as far as possible."""
        with contextlib.suppress(OSError, VaultError), self._open_folder() as place:
            for each in _file_numbers(place.names()):
                if each < number:
                    place.remove(_file_name(each))

    def close(self) -> None:
        """Close the open file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _file_name(number: int) -> str:
    return f"{number:08}.jsonl"


def _file_numbers(names: list[str]) -> list[int]:
    return sorted(int(found[1]) for name in names if (found := _NAME.fullmatch(name)))


def _make_private(folder: str) -> None:
    """Remove permissions for others from this user's folder: a log that stopped would be worse."""
    if sys.platform != "win32":
        found = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | SAFE)
        try:
            status = os.fstat(found)
            if status.st_uid == uid() and status.st_mode & 0o077:
                os.fchmod(found, 0o700)
        finally:
            os.close(found)


def _is_ours(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_uid == uid() and found.st_nlink == 1
