"""An open directory of vault files; every file is accessed by name, relative to it.

The directory must be this user's, not a link, and closed to others (0700); so must each file
(0600). If the directory is moved while open, its files are not mixed with those of its replacement.
Links in it are not followed, and opening a FIFO does not block.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import sys
from typing import TYPE_CHECKING

from tokenward_agent.vault.errors import VaultError, explain, explaining
from tokenward_os.files import SAFE

assert sys.platform != "win32"  # noqa: S101 - type checkers follow it

if TYPE_CHECKING:
    from collections.abc import Callable


class Folder:
    """The directory `path`, open."""

    def __init__(self, path: str) -> None:
        """Open it. Raises VaultError."""
        self.path = path
        with explaining("open", path):
            _check(os.lstat(path), path, stat.S_ISDIR, "a directory", "700")
            self._folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | SAFE)
        try:
            _check(os.fstat(self._folder), path, stat.S_ISDIR, "a directory", "700")
        except BaseException:
            os.close(self._folder)
            raise

    def close(self) -> None:
        """Close it; nothing was written through it, so an error loses nothing."""
        with contextlib.suppress(OSError):
            os.close(self._folder)

    def open(self, name: str, flags: int) -> int:
        """Open a file in it; a new one is closed to other users. Raises OSError."""
        return os.open(name, flags | SAFE, 0o600, dir_fd=self._folder)

    def check(self, file: int, path: str) -> os.stat_result:
        """Return the status of an open file. Raises VaultError unless it is plain and the user's."""
        found = os.fstat(file)
        _check(found, path, stat.S_ISREG, "a plain file", "600")
        return found

    def lock(self, file: int) -> None:
        """Lock an open file until it is closed. Raises BlockingIOError if another process has it."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def names(self) -> list[str]:
        """Return the names of all files in it. Raises OSError."""
        return os.listdir(self._folder)

    def rename(self, source: str, target: str) -> None:
        """Rename a file, replacing the target. Raises OSError."""
        os.rename(source, target, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def link(self, name: str, second: str) -> None:
        """Give a file a second name. Raises OSError."""
        os.link(name, second, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def remove(self, name: str) -> None:
        """Remove a file if it exists. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._folder)

    def close_to_others(self, name: str) -> None:
        """Close a file to other users if it is a plain file of this user."""
        with contextlib.suppress(OSError):  # a link, or another user's: it is not read anyway
            file = self.open(name, os.O_RDONLY)
            try:
                if stat.S_ISREG(os.fstat(file).st_mode):
                    os.fchmod(file, 0o600)
            finally:
                os.close(file)

    def sync(self) -> None:
        """Flush the directory to the disk. Raises OSError."""
        try:
            sync(self._folder)
        except OSError as error:
            if error.errno != errno.EINVAL:  # this file system cannot flush a directory
                raise


def sync(file: int) -> None:
    """Flush an open file to the disk. Raises OSError."""
    full = getattr(fcntl, "F_FULLFSYNC", None)  # macOS: fsync stops at the disk's own cache
    if full is not None:
        try:
            fcntl.fcntl(file, full)
        except OSError:
            pass  # not supported by this file system: use fsync
        else:
            return
    os.fsync(file)


def _check(
    found: os.stat_result, path: str, is_kind: Callable[[int], bool], kind: str, mode: str
) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise explain(OSError(errno.ELOOP, ""), "open", path)
    if not is_kind(found.st_mode):
        raise VaultError("vault", f"{path} is not {kind}.", "move it out of the way")
    if found.st_uid != os.geteuid():
        raise VaultError(
            "vault",
            f"{path} belongs to another user (uid {found.st_uid}).",
            f"`chown {os.geteuid()} {path}` as root makes it yours"
            if found.st_uid == 0
            else f"that user can change it; move it away: `mv {path} {path}.theirs` as root",
        )
    if found.st_mode & 0o077:
        raise VaultError(
            "vault",
            f"{path} is open to other users (mode {stat.S_IMODE(found.st_mode):o}).",
            f"`chmod {mode} {path}`",
        )
