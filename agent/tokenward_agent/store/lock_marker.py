"""The lock marker: a file in the state folder that keeps a lock over restart and reboot.

The agent checks for the file each time, so it agrees with other agents of the directory, and with a
user who removes it. A marker that could not be written is remembered while this agent lives.

A marker of another agent is new to this one once: it is another file, or was touched since.
`unlock` renames the marker instead of removing it, so a lock that came and went is noticed, too.
"""

from __future__ import annotations

import contextlib
import os
import sys

from tokenward_agent import files
from tokenward_agent.failure import Failure

_NAME = "locked"
_OVER = "unlocked"  # the name of the marker that the last `unlock` ended


class LockMarker:
    """The marker of one credentials directory, whose state folder is `state`."""

    def __init__(self, state: str) -> None:
        self.folder = state
        self._path = os.path.join(state, _NAME)
        self._unwritten = False
        self._known = self._identities()

    @property
    def is_present(self) -> bool:
        """Whether the agent is locked."""
        return self._unwritten or os.path.lexists(self._path)

    def create(self) -> None:
        """Write the marker, on the disk on return. Raises Failure; this agent stays locked then."""
        try:
            files.replace(self._path, b"")  # a new file each time, which other agents notice
            self._known = self._identities()
        except OSError as error:
            self._unwritten = True
            raise Failure(
                "vault",
                f"The keys are wiped, but {self._path} cannot be written"
                f" ({error.strerror}), so a restart of the agent ends the lock.",
                "`auth lock` again when it can be written",
            ) from None

    def is_new(self) -> bool:
        """Tell, once, that another agent has locked."""
        known, self._known = self._known, self._identities()
        return not self._known <= known

    def _identities(self) -> set[tuple[int, int]]:
        """Identify the present and the ended marker; open the folder, for network file systems."""
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

    def remove(self) -> None:
        """End the lock. Raises Failure."""
        self._unwritten = False
        if not self.is_present:  # a read-only file system refuses even to remove a missing file
            return
        try:
            os.replace(self._path, os.path.join(self.folder, _OVER))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise Failure(
                "vault",
                f"The lock marker {self._path} cannot be removed: {error.strerror}.",
                "remove it, then `auth unlock`",
            ) from None


def _identities(place: str, folder: int | None) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    for name in (_NAME, _OVER):
        with contextlib.suppress(OSError):
            status = os.stat(os.path.join(place, name), dir_fd=folder, follow_symlinks=False)
            found.add((status.st_ino, status.st_mtime_ns))
    return found
