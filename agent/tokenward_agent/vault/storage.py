"""One vault file in the credentials directory: read whole, replaced whole, never half written.

A save writes a temporary file in the same directory, fsyncs it, renames it over the old one and
fsyncs the directory, all under a lock file of its own; so whenever the machine stops, the file is
either the one before or the one after. The generation before is kept as ``NAME.previous``, for
damage, unless the caller says that it holds something that was removed.

The directory and the files must be this user's, plain, and closed to others (folder.py). No link
is followed below the directory, whose own path the caller has resolved. Everything is done
relative to one open directory, so a directory that is moved in between is not mixed with another.
Reading takes no lock and works in a read-only directory. What the system refuses becomes a
VaultError. Temporary files of saves that died are removed under the lock, where none can be alive.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time

from tokenward_agent.vault.errors import VaultError, explained
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

    def is_absent(self) -> bool:
        """Tell whether it is certain that there is neither a file nor a generation before it."""
        return all(map(_is_missing, (self.path, f"{self.path}.previous")))

    @contextlib.contextmanager
    def locked(self) -> Iterator[Writer]:
        """Hold the file's lock, alone among all processes; make the directory if it is not there.

        Raises VaultError if it cannot be written, or with code `busy` after PATIENCE seconds.
        """
        with explained("write", self.path):
            make_private(self.directory)
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(contextlib.closing(Folder(self.directory)))
            with explained("write", self.path):
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
            with explained("read", path):
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
        pass  # it cannot be known
    return False


def _wait(folder: Folder, lock: int, path: str) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with explained("lock", path):
            try:
                folder.lock(lock)
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
