"""The file in the state folder that has a lock hold over restart and reboot.

Whether it is there is looked up each time, so that agents of one directory and a person who removes
it agree. One that could not be written is remembered for as long as this agent lives.

One that another agent has left is new to this one, once: it is another file, or was touched since.
What `unlock` takes away stays under another name, so that a lock that came and went is new as well.
"""

from __future__ import annotations

import contextlib
import os
import sys

from tokenward_agent.failure import Failure
from tokenward_agent.store import state_files

_NAME = "locked"
_OVER = "unlocked"
"""The name of the last one that an `unlock` has ended."""


class LockMarker:
    """The marker of one credentials directory, whose state folder is `state`."""

    def __init__(self, state: str) -> None:
        self.folder = state
        self._path = os.path.join(state, _NAME)
        self._unwritten = False
        self._known = self._identities()

    @property
    def there(self) -> bool:
        """Whether a lock was the last word."""
        return self._unwritten or os.path.lexists(self._path)

    def leave(self) -> None:
        """Leave it, on the disk when this returns. Raises Failure; it holds for this agent then."""
        try:
            self._write()
            self._known = self._identities()
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
        known, self._known = self._known, self._identities()
        return not self._known <= known

    def _identities(self) -> set[tuple[int, int]]:
        """Return what tells each marker that is there or was last from another one.

        The folder is opened, for network file systems.
        """
        if sys.platform == "win32":
            return _identities(self.folder, None)
        try:
            folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return set()
        try:
            return _identities("", folder)
        finally:
            os.close(folder)

    def _write(self) -> None:
        state_files.replace(self._path, b"")  # a new one each time, which others see

    def remove(self) -> None:
        """Remove it. Raises Failure."""
        self._unwritten = False
        if not self.there:  # a read-only file system refuses even to remove what is not there
            return
        try:
            os.replace(self._path, os.path.join(self.folder, _OVER))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise Failure(
                "vault",
                f"{self._path}, which says that the agent is locked, cannot be removed:"
                f" {error.strerror}.",
                "remove it, then `auth unlock`",
            ) from None


def _identities(place: str, folder: int | None) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    for name in (_NAME, _OVER):
        with contextlib.suppress(OSError):
            status = os.stat(os.path.join(place, name), dir_fd=folder, follow_symlinks=False)
            found.add((status.st_ino, status.st_mtime_ns))
    return found
