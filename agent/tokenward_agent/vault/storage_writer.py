"""Replace a vault file while its lock is held; each step leaves at least one whole generation.

The order of the calls matters. A new file is complete and on the disk before it gets the name; the
previous generation has both its names until then; the directory is on the disk before success is
reported. A save that removes a credential also removes every older file that still holds it:
previous, damaged, and files of interrupted saves.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys

from tokenward_agent.vault.errors import VaultError, explaining

if sys.platform == "win32":
    from tokenward_agent.vault.windows_folder import WindowsFolder as Folder
    from tokenward_agent.vault.windows_folder import sync
else:
    from tokenward_agent.vault.folder import Folder, sync

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_NO_LINKS: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class Writer:
    """Changes the file while its lock is held."""

    def __init__(self, folder: Folder, name: str, path: str) -> None:
        self._folder = folder
        self._name = name
        self._path = path
        self._mark = f".{name}."  # a temporary file is .NAME.RANDOM.tmp

    def replace(self, data: bytes, *, keep_previous: bool | None) -> None:
        """Replace the file with *data*, flushed to the disk.

        *keep_previous* True keeps the present generation as the previous one; False removes
        previous and damaged ones; None leaves them as they are. Raise VaultError: the file is then
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

        *kept* is the file's name with ".damaged-" and more. Raise VaultError. An interruption
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
