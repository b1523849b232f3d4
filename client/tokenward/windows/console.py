"""The console for questions, and reading a line there without showing it.

Windows edits the line itself, and for a secret it does not show it. Python's streams read and write
a console in UTF-8, whatever its code page is.
"""

from __future__ import annotations

import sys

assert sys.platform == "win32"

import msvcrt
from contextlib import contextmanager
from ctypes import wintypes

from tokenward_os.windows import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

_ECHO: Final = 4  # ENABLE_ECHO_INPUT


class Console:
    """The console of this process, also with redirected streams. Raises OSError without one."""

    def __init__(self) -> None:
        self._input = open("CONIN$", "rb", buffering=0)  # noqa: SIM115 - `close` closes it
        try:
            self._output = open("CONOUT$", "wb", buffering=0)  # noqa: SIM115 - likewise
        except OSError:
            self._input.close()
            raise
        self._before: int | None = None  # the console's mode while input is hidden

    def close(self) -> None:
        """Close it."""
        self._input.close()
        self._output.close()

    def line(self, question: str) -> bytes:
        """Ask and return what was typed. Raises EOFError if the input ends first."""
        before = self._before
        if before is not None:
            calls.set_console_mode(self._handle(), before)
        try:
            return self._line(question)
        finally:
            if before is not None:
                calls.set_console_mode(self._handle(), before & ~_ECHO)

    def _line(self, question: str) -> bytes:
        self._output.write(question.encode("utf-8", "replace"))
        answer = b""
        while not answer.endswith(b"\n"):
            data = self._input.read(4096)
            if not data:
                raise EOFError
            answer += data
        return answer

    def hidden_line(self, question: str) -> bytes:
        """Ask and return what was typed, hidden, without its newline.

        Raises EOFError if the input ends first; KeyboardInterrupt passes through.
        """
        if self._before is not None:
            return self._hidden_line(question)
        with self.unseen():
            return self._hidden_line(question)

    def _hidden_line(self, question: str) -> bytes:
        try:
            return self._line(question).rstrip(b"\r\n")
        finally:
            self._output.write(b"\n")

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """Hide all input in this context, between two questions, too."""
        mode = wintypes.DWORD()
        if not calls.console_mode(self._handle(), mode):
            raise calls.last_error()
        calls.set_console_mode(self._handle(), mode.value & ~_ECHO)
        self._before = mode.value
        try:
            yield
        finally:
            self._before = None
            calls.set_console_mode(self._handle(), mode.value)

    def _handle(self) -> int:
        return msvcrt.get_osfhandle(self._input.fileno())
