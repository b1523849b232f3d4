"""An open directory of vault files: everything in it is done by name, relative to it.

It must be this user's, no link, and closed to others (0700), and so must each file (0600): a
directory that is moved while it is open is not mixed with the one that takes its place. No link in
it is followed and no FIFO waited for.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import sys

from tokenward_agent.vault.errors import VaultError, explain, explained
from tokenward_os.files import SAFE

assert sys.platform != "win32"  # noqa: S101 - it is what type checkers read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Folder:
    """The directory `path`, open."""

    def __init__(self, path: str) -> None:
        """Open it. Raises VaultError."""
        self.path = path
        with explained("open", path):
            _check(os.lstat(path), path, stat.S_ISDIR, "a directory", "700")
            self._folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | SAFE)
        try:
            _check(os.fstat(self._folder), path, stat.S_ISDIR, "a directory", "700")
        except BaseException:
            os.close(self._folder)
            raise

    def close(self) -> None:
        """Close it; nothing was written by it, so that a refusal loses nothing."""
        with contextlib.suppress(OSError):
            os.close(self._folder)

    def open(self, name: str, flags: int) -> int:
        """Open a file in it, a new one closed to others. Raises OSError."""
        return os.open(name, flags | SAFE, 0o600, dir_fd=self._folder)

    def check(self, file: int, path: str) -> os.stat_result:
        """Return what is known of an open file. Raises VaultError unless it is ours and plain."""
        found = os.fstat(file)
        _check(found, path, stat.S_ISREG, "a plain file", "600")
        return found

    def lock(self, file: int) -> None:
        """Lock an open file until it is closed. Raises BlockingIOError where another has it."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def names(self) -> list[str]:
        """Return the names of all that is in it. Raises OSError."""
        return os.listdir(self._folder)

    def rename(self, source: str, target: str) -> None:
        """Rename, over what has the name already. Raises OSError."""
        os.rename(source, target, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def link(self, name: str, second: str) -> None:
        """Give a file a second name. Raises OSError."""
        os.link(name, second, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._folder)

    def close_to_others(self, name: str) -> None:
        """Close a file to others, as far as it is a plain one of ours."""
        with contextlib.suppress(OSError):  # a link, or another user's: it is out of the way
            file = self.open(name, os.O_RDONLY)
            try:
                if stat.S_ISREG(os.fstat(file).st_mode):
                    os.fchmod(file, 0o600)
            finally:
                os.close(file)

    def sync(self) -> None:
        """Have the directory on the disk. Raises OSError."""
        try:
            sync(self._folder)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a file system that cannot do this for a directory
                raise


def sync(file: int) -> None:
    """Have an open file on the disk. Raises OSError."""
    full = getattr(fcntl, "F_FULLFSYNC", None)  # macOS: fsync stops at the disk's own cache
    if full is not None:
        try:
            fcntl.fcntl(file, full)
        except OSError:
            pass  # a file system that has none: fsync is all there is
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
            f"`chown {os.geteuid()} {path}` as root gives it to you"
            if found.st_uid == 0
            else f"move it away, since they can change it: `mv {path} {path}.theirs` as root",
        )
    if found.st_mode & 0o077:
        raise VaultError(
            "vault",
            f"{path} is open to other users (mode {stat.S_IMODE(found.st_mode):o}).",
            f"`chmod {mode} {path}`",
        )
