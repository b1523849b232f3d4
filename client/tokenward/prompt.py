"""The terminal that questions are asked on, and a line typed there without being shown.

The terminal's own line editor is off meanwhile, because it cuts a line after 4,095 bytes and
there are longer tokens; backspace, Ctrl-U and Ctrl-D work here as the terminal is set up. What was
typed before the question or is left behind the line is thrown away: the rest of a pasted secret
must not become the shell's next command.

However this ends - an answer, Ctrl-C, a signal, Ctrl-Z - the terminal is as it was before.
"""

from __future__ import annotations

import os
import sys

assert sys.platform != "win32"

import signal
import termios
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import Any

_LOCAL, _CONTROL = 3, 6  # places in what tcgetattr returns
_LEAVING = (signal.SIGTSTP, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_PASTE_MARKS = (b"\x1b[200~", b"\x1b[201~")


class Line:
    """The line as it grows. `erase`, `kill` and `end` are the terminal's control characters."""

    def __init__(self, erase: bytes, kill: bytes, end: bytes) -> None:
        self._erase = frozenset(erase + b"\x7f\x08") - {0}
        self._kill = kill
        self._end = end
        self._typed = bytearray()

    def feed(self, data: bytes) -> bytes | None:
        """Take what was typed. Return the line once it is whole, None before.

        Raises EOFError for the end character on an empty line.
        """
        for byte in data:
            char = bytes((byte,))
            if char in {b"\n", b"\r"}:
                return self._line()
            if char == self._end:
                if not self._typed:
                    raise EOFError
                return self._line()
            if byte in self._erase:
                self._backspace()
            elif char == self._kill:
                self._typed.clear()
            else:
                self._typed.append(byte)
        return None

    def _line(self) -> bytes:
        line = bytes(self._typed)
        for mark in _PASTE_MARKS:
            line = line.replace(mark, b"")
        return line

    def _backspace(self) -> None:
        """Take one character off: its UTF-8 continuation bytes (10xxxxxx) go with it."""
        while self._typed and self._typed.pop() & 0xC0 == 0x80:
            pass


class Console:
    """The terminal of this process, whatever its streams are. Raises OSError if it has none."""

    def __init__(self) -> None:
        self._tty = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._tty)

    def line(self, question: str) -> bytes:
        """Ask and return what was typed. Raises EOFError where the input ends first."""
        os.write(self._tty, question.encode("utf-8", "replace"))
        answer = b""
        try:
            while not answer.endswith(b"\n"):
                data = os.read(self._tty, 4096)
                if not data:
                    os.write(self._tty, b"\n")
                    raise EOFError
                answer += data
        except KeyboardInterrupt:
            os.write(self._tty, b"\n")
            raise
        return answer

    def hidden_line(self, question: str) -> bytes:
        """Ask and return what was typed, not shown, without its newline.

        Raises EOFError where the input ends first; KeyboardInterrupt passes through.
        """
        before: list[Any] = termios.tcgetattr(self._tty)
        control = before[_CONTROL]
        line = Line(control[termios.VERASE], control[termios.VKILL], control[termios.VEOF])
        with _silent(self._tty, before, question.encode("utf-8", "replace")):
            while True:
                data = os.read(self._tty, 4096)
                if not data:
                    raise EOFError
                whole = line.feed(data)
                if whole is not None:
                    return whole


@contextmanager
def _silent(tty: int, before: list[Any], question: bytes) -> Iterator[None]:
    silent = list(before)
    silent[_LOCAL] &= ~(termios.ECHO | termios.ICANON)
    silent[_CONTROL] = list(before[_CONTROL])
    silent[_CONTROL][termios.VMIN] = 1
    silent[_CONTROL][termios.VTIME] = 0

    def ask() -> None:
        termios.tcsetattr(tty, termios.TCSAFLUSH, silent)
        os.write(tty, question)

    def restore() -> None:
        termios.tcsetattr(tty, termios.TCSAFLUSH, before)
        os.write(tty, b"\n")

    def leave(number: int, _frame: FrameType | None) -> None:
        """Put the terminal back, take the signal as if nobody had caught it, and if we live: ask."""
        restore()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, leave)
        ask()

    handlers = [(number, signal.getsignal(number)) for number in _LEAVING]
    for number, handler in handlers:
        if handler is signal.SIG_DFL:
            signal.signal(number, leave)
    try:
        ask()
        yield
    finally:
        for number, handler in handlers:
            signal.signal(number, handler)
        restore()
