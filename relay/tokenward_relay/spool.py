"""The file of an upload while it is checked: on disk, without a name, gone when it is closed.

It lies in the agent's state directory and not in /tmp, which is memory on many systems.
"""

from __future__ import annotations

import contextlib
import os
import tempfile

from tokenward_relay.refusal import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

MOST_BYTES: Final = 2 * 1024**3
"""The largest file of an upload."""

_CHUNK: Final = 256 * 1024


class TemporarySpool:
    """A file that is written once and then read from its start. Raises Refusal if there is no room."""

    def __init__(self, folder: str) -> None:
        try:
            free = os.statvfs(folder)
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - `close` does
        except OSError as error:
            raise _no_room(error) from None
        self._most = min(MOST_BYTES, free.f_bavail * free.f_frsize // 2)
        self.size = 0

    def write(self, data: memoryview) -> None:
        """Append data. Raises Refusal if the file is too large or the disk is full."""
        self.size += len(data)
        if self.size > self._most:
            raise Refusal(413, f"the file is larger than {self._most} bytes")
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            raise _no_room(error) from None

    def chunks(self) -> Iterator[bytes]:
        """Yield what was written."""
        self._file.seek(0)
        while data := self._file.read(_CHUNK):
            yield data

    def close(self) -> None:
        """Drop the file."""
        with contextlib.suppress(OSError):
            self._file.close()


def _no_room(error: OSError) -> Refusal:
    return Refusal(507, f"the file cannot be kept while it is checked: {error.strerror}")
