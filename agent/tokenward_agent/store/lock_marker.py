"""The file in the state folder that has a lock hold over restart and reboot.

Whether it is there is looked up each time, so that agents of one directory and a person who removes
it agree. One that could not be written is remembered for as long as this agent lives.

One that another agent has left is new to this one, once: it is another file, or was touched since.
"""

from __future__ import annotations

import os
import sys

from tokenward_agent.failure import Failure
from tokenward_agent.store import state_files

_NAME = "locked"


class LockMarker:
    """The marker of one credentials directory, whose state folder is `state`."""

    def __init__(self, state: str) -> None:
        self.folder = state
        self._path = os.path.join(state, _NAME)
        self._unwritten = False
        self._known = self._identity()

    @property
    def there(self) -> bool:
        """Whether a lock was the last word."""
        return self._unwritten or os.path.lexists(self._path)

    def leave(self) -> None:
        """Leave it, on the disk when this returns. Raises Failure; it holds for this agent then."""
        try:
            self._write()
            self._known = self._identity()
        except OSError as error:
            self._unwritten = True
            raise Failure(
                "vault",
                f"The keys are destroyed, but {self._path} cannot be written"
                f" ({error.strerror}), so a restart of the agent ends the lock.",
                "`auth lock` again once it can be written",
            ) from None

    def is_new(self) -> bool:
        """Tell, once, that another agent has locked."""
        known, self._known = self._known, self._identity()
        return self._known is not None and self._known != known

    def _identity(self) -> tuple[int, int] | None:
        """Return what tells one marker from another; the folder is opened, for network file systems."""
        try:
            if sys.platform == "win32":
                found = os.lstat(self._path)
            else:
                folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    found = os.stat(_NAME, dir_fd=folder, follow_symlinks=False)
                finally:
                    os.close(folder)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def _write(self) -> None:
        state_files.replace(self._path, b"")  # a new one each time, which others see

    def remove(self) -> None:
        """Remove it. Raises Failure."""
        self._unwritten = False
        if not self.there:  # a read-only file system refuses even to remove what is not there
            return
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise Failure(
                "vault",
                f"{self._path}, which says that the agent is locked, cannot be removed:"
                f" {error.strerror}.",
                "remove it, then `auth unlock`",
            ) from None
