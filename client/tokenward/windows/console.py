"""The console that questions are asked on, and a line typed there without being shown.

Windows edits the line itself; for a secret it is told not to show it. The streams of Python read and
write a console in UTF-8, whatever its code page is.
"""

from __future__ import annotations

import sys

assert sys.platform == "win32"

import msvcrt
from contextlib import contextmanager
from ctypes import wintypes

from tokenward.windows import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

_ECHO: Final = 4  # ENABLE_ECHO_INPUT


class Console:
    """The console of this process, whatever its streams are. Raises OSError if it has none."""

    def __init__(self) -> None:
        self._input = open("CONIN$", "rb", buffering=0)  # noqa: SIM115 - `close` closes it
        try:
            self._output = open("CONOUT$", "wb", buffering=0)  # noqa: SIM115 - likewise
        except OSError:
            self._input.close()
            raise

    def close(self) -> None:
        """Let go of it."""
        self._input.close()
        self._output.close()

    def line(self, question: str) -> bytes:
        """Ask and return what was typed. Raises EOFError where the input ends first."""
        self._output.write(question.encode("utf-8", "replace"))
        answer = b""
        while not answer.endswith(b"\n"):
            data = self._input.read(4096)
            if not data:
                raise EOFError
            answer += data
        return answer

    def hidden_line(self, question: str) -> bytes:
        """Ask and return what was typed, not shown, without its newline.

        Raises EOFError where the input ends first; KeyboardInterrupt passes through.
        """
        with self._silent():
            return self.line(question).rstrip(b"\r\n")

    @contextmanager
    def _silent(self) -> Iterator[None]:
        handle, mode = msvcrt.get_osfhandle(self._input.fileno()), wintypes.DWORD()
        if not calls.console_mode(handle, mode):
            raise calls.failed()
        calls.set_console_mode(handle, mode.value & ~_ECHO)
        try:
            yield
        finally:
            calls.set_console_mode(handle, mode.value)
            self._output.write(b"\n")
