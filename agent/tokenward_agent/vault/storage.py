"""One vault file in the credentials directory: read whole, replaced whole, never half written.

A save writes a temporary file in the same directory, fsyncs it, renames it over the old one and
fsyncs the directory, all under its own lock file. So if the machine stops at any moment, the file
is either the old or the new one. The previous generation is kept as ``NAME.previous``, for damage,
unless the caller says that it holds something that was removed.

The directory and the files must be this user's, plain, and closed to others (folder.py). Links
below the directory are not followed; the caller has resolved the directory's own path. Every access
is relative to one open directory, so a directory that is moved meanwhile is not mixed with another.
Reading takes no lock and works in a read-only directory. Errors of the system become VaultError.
Temporary files of interrupted saves are removed under the lock, when no other save can run.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time

from tokenward_agent.vault.errors import VaultError, explaining
from tokenward_agent.vault.storage_writer import Writer
from tokenward_os.files import make_private

if sys.platform == "win32":
    from tokenward_agent.vault.windows_folder import WindowsFolder as Folder
else:
    from tokenward_agent.vault.folder import Folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

PATIENCE: Final = 10.0
"""Seconds to wait for another process's save; one takes milliseconds."""


class Storage:
    """The file *name* in the absolute, resolved *directory*."""

    def __init__(self, directory: str, name: str) -> None:
        self.directory = directory
        self.name = name
        self.path = os.path.join(directory, name)

    def __repr__(self) -> str:
        return f"Storage({self.path!r})"

    def read(self, most: int) -> bytes | None:
        """Return the file's first *most* bytes, None if it does not exist. Raise VaultError."""
        return self._read(self.name, most)

    def read_previous(self, most: int) -> bytes | None:
        """Return the first bytes of the previous generation in the same way."""
        return self._read(f"{self.name}.previous", most)

    def is_absent(self) -> bool:
        """Tell whether certainly neither the file nor a previous generation exists."""
        return all(map(_is_missing, (self.path, f"{self.path}.previous")))

    @contextlib.contextmanager
    def lock(self) -> Iterator[Writer]:
        """Hold the file's lock against all processes; create the directory if it is missing.

        Raise VaultError if it cannot be written, or with code `busy` after PATIENCE seconds.
        """
        with explaining("write", self.path):
            make_private(self.directory)
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(contextlib.closing(Folder(self.directory)))
            with explaining("write", self.path):
                lock = folder.open(f"{self.name}.lock", os.O_RDWR | os.O_CREAT)
            stack.callback(_close, lock)
            folder.check(lock, f"{self.path}.lock")
            _wait(folder, lock, self.path)
            yield Writer(folder, self.name, self.path)

    def _read(self, name: str, most: int) -> bytes | None:
        path = os.path.join(self.directory, name)
        with contextlib.ExitStack() as stack:
            try:
                folder = stack.enter_context(contextlib.closing(Folder(self.directory)))
            except VaultError as error:
                if isinstance(error.__cause__, FileNotFoundError):
                    return None
                raise
            with explaining("read", path):
                try:
                    file = folder.open(name, os.O_RDONLY)
                except FileNotFoundError:
                    return None
                stack.callback(_close, file)
                found = folder.check(file, path)
                with open(file, "rb", closefd=False) as stream:
                    return stream.read(min(most, found.st_size))


def _is_missing(path: str) -> bool:
    try:
        os.lstat(path)
    except FileNotFoundError:
        return True
    except OSError:
        pass  # unknown
    return False


def _wait(folder: Folder, lock: int, path: str) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with explaining("lock", path):
            try:
                folder.lock(lock)
            except BlockingIOError:
                time.sleep(0.005)  # in a thread, and only while another process saves
            else:
                return
    raise VaultError(
        "busy",
        f"Another process has been saving {path} for {PATIENCE:.0f} seconds.",
        "try again; if that does not help, end the other `tokenward-agent` of this directory",
    )


def _close(file: int) -> None:
    """Close a file that was only read or locked; an error changes nothing."""
    with contextlib.suppress(OSError):
        os.close(file)
