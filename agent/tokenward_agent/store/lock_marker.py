"""The file in the state folder that has a lock hold over restart and reboot.

Whether it is there is looked up each time, so that agents of one directory and a person who removes
it agree. One that could not be written is remembered for as long as this agent lives.
"""

from __future__ import annotations

import os

from tokenward_agent.failure import Failure
from tokenward_agent.files import opened, sync_folder


class LockMarker:
    """The marker of one credentials directory, whose state folder is `state`."""

    def __init__(self, state: str) -> None:
        self._path = os.path.join(state, "locked")
        self._unwritten = False

    @property
    def there(self) -> bool:
        """Whether a lock was the last word."""
        return self._unwritten or os.path.lexists(self._path)

    def leave(self) -> None:
        """Leave it, on the disk when this returns. Raises Failure; it holds for this agent then."""
        try:
            self._write()
        except OSError as error:
            self._unwritten = True
            raise Failure(
                "vault",
                f"The keys are destroyed, but {self._path} cannot be written"
                f" ({error.strerror}), so a restart of the agent ends the lock.",
                "`auth lock` again once it can be written",
            ) from None

    def _write(self) -> None:
        file = opened(self._path, os.O_WRONLY | os.O_CREAT)
        try:
            os.fsync(file)
        finally:
            os.close(file)
        sync_folder(os.path.dirname(self._path))

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
