"""What a program or a plug-in says while a job runs it: read in a thread, and one line of it quoted.

A failure quotes the last line that shows no secret, never what was handed out.
"""

from __future__ import annotations

import os
from threading import Thread
from typing import TYPE_CHECKING

from tokenward_protocol.secret_marks import may_show

if TYPE_CHECKING:
    from typing import Final

TAIL: Final = 8192
"""Bytes of stderr that are looked at."""

_LINE: Final = 200  # characters of it that are quoted
_SHORT: Final = 4  # characters from which a word of the output is looked for in stderr
_MOMENT: Final = 0.5  # seconds to read what is left once the program has ended


class Reading:
    """Reads a descriptor in a thread and keeps the last `most` bytes of what it has."""

    def __init__(self, descriptor: int, most: int) -> None:
        self._descriptor, self._most, self._data = descriptor, most, b""
        self._thread = Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while more := os.read(self._descriptor, 65536):
            self._data = (self._data + more)[-self._most :]

    def take(self) -> bytes:
        """Return what was read, once the program has ended."""
        self._thread.join(_MOMENT)
        return self._data


def last_line(errors: bytes, output: bytes) -> str:
    """Return the last line of stderr that shows no secret, without a full stop; "" if none does."""
    words = {word for word in output.decode(errors="replace").split() if len(word) >= _SHORT}
    for line in reversed(errors.decode(errors="replace").splitlines()):
        text = "".join(char if char.isprintable() else " " for char in line).strip()
        if text and not may_show(text) and not any(word in text for word in words):
            return text[:_LINE].rstrip(". ")
    return ""
