"""One vault file in the credentials directory: read whole, replaced whole, never half written.

A save writes a temporary file in the same directory, fsyncs it, renames it over the old one and
fsyncs the directory, all under its own lock file. So if the machine stops at any moment, the file
is either the old or the new one: it is complete and on the disk before it gets the name, the previous
generation has both its names until then, and the directory is on the disk before success is reported.
The previous generation is kept as ``NAME.previous``, for damage, unless the caller says that it holds
something that was removed: such a save also removes every older file that still holds it, previous,
damaged, and files of interrupted saves. The latter are removed under the lock, when no other save can
run.

The directory and the files must be this user's, plain, and closed to others (folder.py). Links
below the directory are not followed; the caller has resolved the directory's own path. Every access
is relative to one open directory, so a directory that is moved meanwhile is not mixed with another.
Reading takes no lock and works in a read-only directory. Errors of the system become VaultError.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from typing import TYPE_CHECKING, Final

from tokenward_agent.vault.errors import VaultError, explaining
from tokenward_os.files import make_private

if sys.platform == "win32":
    from tokenward_agent.vault.windows_folder import WindowsFolder as Folder
    from tokenward_agent.vault.windows_folder import sync
else:
    from tokenward_agent.vault.folder import Folder, sync

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE: Final = 10.0  # seconds to wait for another process's save; one takes milliseconds


_NO_LINKS: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class Storage:
    """The file *name* in the absolute, resolved *directory*."""

    def __init__(self, directory: str, name: str) -> None:
        self.directory = directory
        self.name = name
        self.path = os.path.join(directory, name)

    def __repr__(self) -> str:
        return f"Storage({self.path!r})"

    def read(self, most: int) -> bytes | None:
        """Return the file's first *most* bytes, None if it does not exist. Raises VaultError."""
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

        Raises VaultError if it cannot be written, or with code `busy` after PATIENCE seconds.
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


class Writer:
    """Changes the file while its lock is held."""

    def __init__(self, folder: Folder, name: str, path: str) -> None:
        self._folder, self._name, self._path = folder, name, path
        self._mark = f".{name}."  # a temporary file is .NAME.RANDOM.tmp

    def replace(self, data: bytes, *, keep_previous: bool | None) -> None:
        """Replace the file with *data*, flushed to the disk.

        *keep_previous* True keeps the present generation as the previous one; False removes
        previous and damaged ones; None leaves them as they are. Raises VaultError: the file is then
        as before, or, if only the last fsync of the directory failed, the new one, and the sentence
        says so.
        """
        with explaining("write", self._path):
            self._sweep()
            fresh = self._temporary()
            try:
                self._write(fresh, data)
                if keep_previous:
                    self._keep()
                elif keep_previous is not None:
                    self._forget()
                self._folder.rename(fresh, self._name)
            except BaseException:
                with contextlib.suppress(OSError):
                    self._folder.remove(fresh)
                raise
        self._confirm()

    def restore(self, kept: str) -> None:
        """Put the previous generation in the file's place; keep the file, closed, as *kept*.

        *kept* is the file's name with ".damaged-" and more. Raises VaultError. An interruption
        leaves a missing file with its previous generation; calling this again completes it.
        """
        with explaining("write", self._path):
            self._sweep()
            with contextlib.suppress(FileNotFoundError):
                self._folder.rename(self._name, kept)
                self._folder.close_to_others(kept)
            self._folder.rename(f"{self._name}.previous", self._name)
        self._confirm()

    def _confirm(self) -> None:
        """Flush the directory to the disk."""
        try:
            self._folder.sync()
        except OSError as error:
            raise VaultError(
                "vault",
                f"{self._path} was written, but the disk did not confirm that it will stay: "
                f"{os.strerror(error.errno or 0)}.",
                "check the disk, then try again",
            ) from error

    def _sweep(self) -> None:
        for name in self._folder.names():
            if name.startswith(self._mark) and name.endswith(".tmp"):
                self._folder.remove(name)

    def _temporary(self) -> str:
        return f"{self._mark}{os.urandom(8).hex()}.tmp"

    def _write(self, name: str, data: bytes) -> None:
        file = self._folder.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(file, view) :]
            sync(file)
        finally:
            os.close(file)

    def _keep(self) -> None:
        """Give the file its second name in one step: until then the former previous one exists."""
        link = self._temporary()
        try:
            self._folder.link(self._name, link)
            self._folder.rename(link, f"{self._name}.previous")
        except FileNotFoundError:
            return  # the first save
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        finally:
            self._folder.remove(link)  # rename keeps it if both names are of one file

    def _forget(self) -> None:
        """Remove every older file: none may still hold a credential that is being removed."""
        self._folder.remove(f"{self._name}.previous")
        for name in self._folder.names():
            if name.startswith(f"{self._name}.damaged-"):
                with contextlib.suppress(IsADirectoryError):
                    self._folder.remove(name)
