"""One vault file in the credentials directory: read whole, replaced whole, never half written.

A save writes a temporary file in the same directory, fsyncs it, renames it over the old one and
fsyncs the directory, all under a lock file of its own; so whenever the machine stops, the file is
either the one before or the one after. The generation before is kept as ``NAME.previous``, for
damage, unless the caller says that it holds something that was removed.

The directory and the files must be this user's, plain, and closed to others (0700, 0600). No link
is followed below the directory, whose own path the caller has resolved. Everything is done
relative to one open directory, so a directory that is moved in between is not mixed with another.
Reading takes no lock and works in a read-only directory. What the system refuses becomes a
VaultError. Temporary files of saves that died are removed under the lock, where none can be alive.
"""

# Everything is relative to an open directory, which pathlib cannot be.
from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time

from tokenward_agent.vault.errors import VaultError, explain, explained
from tokenward_agent.vault.storage_writer import SAFE, Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Final

PATIENCE: Final = 10.0
"""Seconds to wait for another process' save; one takes milliseconds."""


class Storage:
    """The file *name* in the absolute, resolved *directory*."""

    def __init__(self, directory: str, name: str) -> None:
        self.directory = directory
        self.name = name
        self.path = os.path.join(directory, name)

    def __repr__(self) -> str:
        return f"Storage({self.path!r})"

    def read(self, most: int) -> bytes | None:
        """Return the file's first *most* bytes, None if there is no file. Raises VaultError."""
        return self._read(self.name, most)

    def read_previous(self, most: int) -> bytes | None:
        """Return the generation before in the same way."""
        return self._read(f"{self.name}.previous", most)

    @contextlib.contextmanager
    def locked(self) -> Iterator[Writer]:
        """Hold the file's lock, alone among all processes; make the directory if it is not there.

        Raises VaultError if it cannot be written, or with code `busy` after PATIENCE seconds.
        """
        with explained("write", self.path):
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
        with contextlib.ExitStack() as stack:
            directory = self._open_directory()
            stack.callback(_close, directory)
            with explained("write", self.path):
                lock = os.open(
                    f"{self.name}.lock", os.O_RDWR | os.O_CREAT | SAFE, 0o600, dir_fd=directory
                )
            stack.callback(_close, lock)
            _check(os.fstat(lock), f"{self.path}.lock", stat.S_ISREG, "a plain file", "600")
            _wait(lock, self.path)
            yield Writer(directory, self.name, self.path)

    def _read(self, name: str, most: int) -> bytes | None:
        path = os.path.join(self.directory, name)
        with contextlib.ExitStack() as stack:
            try:
                directory = self._open_directory()
            except VaultError as error:
                if isinstance(error.__cause__, FileNotFoundError):
                    return None
                raise
            stack.callback(_close, directory)
            with explained("read", path):
                try:
                    file = os.open(name, os.O_RDONLY | SAFE, dir_fd=directory)
                except FileNotFoundError:
                    return None
                stack.callback(_close, file)
                found = os.fstat(file)
                _check(found, path, stat.S_ISREG, "a plain file", "600")
                with open(file, "rb", closefd=False) as stream:
                    return stream.read(min(most, found.st_size))

    def _open_directory(self) -> int:
        with explained("open", self.directory):
            found = os.lstat(self.directory)
            _check(found, self.directory, stat.S_ISDIR, "a directory", "700")
            directory = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | SAFE)
        try:
            _check(os.fstat(directory), self.directory, stat.S_ISDIR, "a directory", "700")
        except BaseException:
            os.close(directory)
            raise
        return directory


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
            f"`chown {os.geteuid()} {path}` as root gives it to you",
        )
    if found.st_mode & 0o077:
        raise VaultError(
            "vault",
            f"{path} is open to other users (mode {stat.S_IMODE(found.st_mode):o}).",
            f"`chmod {mode} {path}`",
        )


def _wait(lock: int, path: str) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with explained("lock", path):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.005)  # a thread's, and only while another process is saving
            else:
                return
    raise VaultError(
        "busy",
        f"Another process has been saving {path} for {PATIENCE:.0f} seconds.",
        "try again; if it stays so, end the other `tokenward-agent` of this directory",
    )


def _close(file: int) -> None:
    """Close what was only read or locked: a refusal loses nothing and changes no outcome."""
    with contextlib.suppress(OSError):
        os.close(file)
