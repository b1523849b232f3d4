"""The files of the audit log: numbered, of a bounded size, the oldest removed.

They lie in `audit` in the state folder (0700, each file 0600) as `00000001.jsonl` and so on. A line
is one `write` to a descriptor that appends; it is in the kernel's hands when that returns, so it
outlives this process, and is on the disk when a vault that knows of it is (`sync`). Before each
line the file is looked for where it should be: one that was moved, removed or replaced is left.

What lies there and is no plain file of this user is passed over, never followed and never waited
for. Nothing here knows what a line says.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys

from tokenward_agent.files import opened, sync, sync_folder, uid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

FILE_BYTES: Final = 1 << 20
"""From this size on the next line begins a new file."""

FILES: Final = 8
"""Files that are kept."""

TAIL_BYTES: Final = FILE_BYTES
"""Bytes of a file's end that are looked at when an agent goes on with it."""

_NAME: Final = re.compile(r"([0-9]{8,15})\.jsonl")


class LogFiles:
    """The files in `folder`, which need not exist; `number` is that of the open one, 0 for none."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.number = 0
        self.size = 0
        self._path = ""
        self._file = -1
        self._identity = (0, 0)
        self._unsynced: set[int] = set()
        self._made = False

    def path(self, number: int) -> str:
        """Return the path of a file by its number."""
        return os.path.join(self.folder, f"{number:08}.jsonl")

    def numbers(self) -> list[int]:
        """Return the numbers of the files that are there, in order. Raises OSError."""
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return []
        return sorted(int(found[1]) for name in names if (found := _NAME.fullmatch(name)))

    @property
    def usable(self) -> bool:
        """Whether the open file is still the one that lies there."""
        if self._file < 0:
            return False
        try:
            found = os.lstat(self._path)
        except OSError:
            return False
        self.size = found.st_size
        return (found.st_dev, found.st_ino) == self._identity

    def open_last(self) -> bytes:
        """Open the file that is to be written on, and return the end of it.

        A file that cannot be used is left alone, and the next number begins. Raises OSError.
        """
        with contextlib.suppress(FileExistsError):
            os.mkdir(
                self.folder, 0o700
            )  # and not the folder above: an agent that lost it is to say so
        last = max(self.numbers(), default=0)
        if last:
            with contextlib.suppress(OSError):
                self._open(last, os.O_RDWR)
                os.lseek(self._file, max(self.size - TAIL_BYTES, 0), os.SEEK_SET)
                return os.read(self._file, TAIL_BYTES)
        self._open(last + 1, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        return b""

    def open_next(self) -> None:
        """Go on with a new file. Raises OSError, and then the file before stays open.

        A number that somebody else took is passed over, and none is believed: a file with a high
        number would make all others look old.
        """
        for number in range(self.number + 1, self.number + FILES):
            with contextlib.suppress(FileExistsError):
                self._open(number, os.O_RDWR | os.O_CREAT | os.O_EXCL)
                return
        raise FileExistsError(errno.EEXIST, "the next files are there already")

    def _open(self, number: int, flags: int) -> None:
        file = opened(self.path(number), flags | os.O_APPEND)
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != uid() or found.st_nlink != 1:
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
        """Write to the open file and return how many bytes went in. Raises OSError."""
        self._unsynced.add(self.number)
        return os.write(self._file, data)

    def sync(self) -> None:
        """Bring what was written to the disk. Any thread may; raises OSError."""
        for number in list(self._unsynced):
            self._unsynced.discard(number)
            with contextlib.suppress(FileNotFoundError):
                sync(self.path(number))
        if self._made:
            sync_folder(self.folder)
            self._made = False

    def content(self, number: int, most: int) -> bytes:
        """Return what a file holds, `most` bytes of it; b"" for what cannot be read or is none."""
        try:
            file = opened(self.path(number), os.O_RDONLY)
        except OSError:
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
        """Remove the files below a number, as far as that can be done."""
        with contextlib.suppress(OSError):
            for each in self.numbers():
                if each < number:
                    os.unlink(self.path(each))

    def close(self) -> None:
        """Let go of the open file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
