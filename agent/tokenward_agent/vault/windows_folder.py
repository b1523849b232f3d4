"""An open directory of vault files on Windows: while it is open it cannot be moved or removed.

Its access list, inherited from the user's own folder, says who may open it and its files. Windows
does not replace a file that another process has open (another agent that reads, a virus scanner),
so such a step is repeated for a moment.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

assert sys.platform == "win32"

import contextlib
import errno
import msvcrt
import os
import stat
import time

from tokenward_agent.files import open_file
from tokenward_agent.vault.errors import VaultError, explain, explaining
from tokenward_os.windows import calls

if TYPE_CHECKING:
    from collections.abc import Callable

_PATIENCE: Final = 2.0  # seconds to wait for another process that has a file open
_IN_USE: Final = (calls.ERROR_ACCESS_DENIED, calls.ERROR_SHARING_VIOLATION)


class WindowsFolder:
    """The directory `path`, held open."""

    def __init__(self, path: str) -> None:
        """Open it. Raises VaultError."""
        self.path = path
        with explaining("open", path):
            found = os.lstat(path)
            if stat.S_ISLNK(found.st_mode) or found.st_reparse_tag:
                raise explain(OSError(errno.ELOOP, ""), "open", path)
            if not stat.S_ISDIR(found.st_mode):
                raise VaultError("vault", f"{path} is not a directory.", "move it out of the way")
            self._folder = calls.hold_folder(path)

    def close(self) -> None:
        """Close it."""
        calls.close_handle(self._folder)

    def open(self, name: str, flags: int) -> int:
        """Open a file in it. Raises OSError."""
        return open_file(self._of(name), flags)

    def check(self, file: int, path: str) -> os.stat_result:
        """Return the status of an open file. Raises VaultError unless it is plain."""
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise VaultError("vault", f"{path} is not a plain file.", "move it out of the way")
        return found

    def lock(self, file: int) -> None:
        """Lock an open file until it is closed. Raises BlockingIOError if another process has it."""
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            raise BlockingIOError from None

    def names(self) -> list[str]:
        """Return the names of all files in it. Raises OSError."""
        return os.listdir(self.path)

    def rename(self, source: str, target: str) -> None:
        """Rename a file, replacing the target; on the disk when it returns. Raises OSError."""
        _patiently(lambda: calls.move_file(self._of(source), self._of(target)))

    def link(self, name: str, second: str) -> None:
        """Give a file a second name. Raises OSError."""
        os.link(self._of(name), self._of(second))

    def remove(self, name: str) -> None:
        """Remove a file if it exists. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            _patiently(lambda: os.unlink(self._of(name)))

    def close_to_others(self, name: str) -> None:
        """Do nothing: the file has the folder's access list."""

    def sync(self) -> None:
        """Do nothing: `rename` returns when the change is on the disk."""

    def _of(self, name: str) -> str:
        return os.path.join(self.path, name)


def sync(file: int) -> None:
    """Flush an open file to the disk. Raises OSError."""
    os.fsync(file)


def _patiently(step: Callable[[], object]) -> None:
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            step()
        except OSError as error:
            if error.winerror not in _IN_USE or time.monotonic() > until:
                raise
            time.sleep(0.01)  # in a thread
        else:
            return
