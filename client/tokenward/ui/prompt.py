"""The terminal for questions, and reading a line there without showing it.

The terminal's own line editor is off meanwhile, because it cuts a line after 4,095 bytes and some
tokens are longer; typed_line.py handles the keys. Input from before the question and after the line
is thrown away: the rest of a pasted secret must not become the shell's next command, and a line
that Ctrl-Z interrupted is typed anew.

After an answer, Ctrl-C, a signal or Ctrl-Z the terminal is as it was before, and no core file with
the secret is written.
"""

from __future__ import annotations

import os
import sys

assert sys.platform != "win32"

import signal
import termios
from contextlib import contextmanager
from select import select

from tokenward.ui.secret_input import without_core
from tokenward.ui.typed_line import PASTE_MARKS, TypedLine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import Any

_LOCAL, _CONTROL = 3, 6  # indexes into the result of tcgetattr
_LEAVING = (signal.SIGTSTP, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_KEY_SECONDS = 0.1  # a key that sends several characters sends them at once


class Console:
    """The terminal of this process, also with redirected streams. Raises OSError without one."""

    def __init__(self) -> None:
        self._tty = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        self._before: list[Any] | None = None  # the terminal's state while input is hidden
        self._asked = b""  # the question that waits for an answer
        self._line: TypedLine | None = None

    def close(self) -> None:
        """Close it."""
        os.close(self._tty)

    def line(self, question: str) -> bytes:
        """Ask and return what was typed. Raises EOFError if the input ends first."""
        if self._before is not None:
            termios.tcsetattr(self._tty, termios.TCSAFLUSH, self._before)
        try:
            return self._seen_line(question)
        finally:
            if self._before is not None:
                self._silence(self._before)

    def _seen_line(self, question: str) -> bytes:
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
        """Ask and return what was typed, hidden, without its newline.

        Further lines that came with it, as from a paste, follow the first.
        Raises EOFError if the input ends first; KeyboardInterrupt passes through.
        """
        if self._before is not None:
            return self._hidden_line(question, self._before)
        with self.unseen() as before:
            return self._hidden_line(question, before)

    def _hidden_line(self, question: str, before: list[Any]) -> bytes:
        control = before[_CONTROL]
        keys = (control[k] for k in (termios.VERASE, termios.VKILL, termios.VEOF, termios.VWERASE))
        self._line = line = TypedLine(*keys)
        self._asked = question.encode("utf-8", "replace")
        self._silence(before)
        os.write(self._tty, self._asked)
        try:
            while True:
                data = os.read(self._tty, 4096)
                if not data:
                    raise EOFError
                whole = line.feed(data)
                if whole is not None:
                    return whole + _behind(line)
                if line.is_in_key and not select([self._tty], [], [], _KEY_SECONDS)[0]:
                    line.end_key()
                if line.passed_over:
                    line.passed_over = False
                    os.write(self._tty, b"\a")
        finally:
            self._asked = b""
            os.write(self._tty, b"\n")

    @contextmanager
    def unseen(self) -> Iterator[list[Any]]:
        """Hide all input in this context, between two questions, too."""
        without_core()
        before: list[Any] = termios.tcgetattr(self._tty)
        ours = dict.fromkeys(_LEAVING, self._leave) | {signal.SIGCONT: self._resume}
        handlers = [(number, signal.getsignal(number)) for number in ours]
        for number, handler in handlers:
            if handler is signal.SIG_DFL:
                signal.signal(number, ours[number])
        try:
            self._silence(before)
            self._before = before
            yield before
        finally:
            self._before = None
            for number, handler in handlers:
                signal.signal(number, handler)
            termios.tcsetattr(self._tty, termios.TCSAFLUSH, before)

    def _silence(self, before: list[Any]) -> None:
        silent = list(before)
        silent[_LOCAL] &= ~(termios.ECHO | termios.ICANON)
        silent[_CONTROL] = list(before[_CONTROL])
        silent[_CONTROL][termios.VMIN] = 1
        silent[_CONTROL][termios.VTIME] = 0
        termios.tcsetattr(self._tty, termios.TCSAFLUSH, silent)

    def _leave(self, number: int, _frame: FrameType | None) -> None:
        """Restore the terminal, and let the signal act as if it had not been caught.

        SIGQUIT becomes KeyboardInterrupt: its core file might be handed to another program.
        """
        if number == signal.SIGQUIT:
            raise KeyboardInterrupt
        if self._before is not None:
            termios.tcsetattr(self._tty, termios.TCSAFLUSH, self._before)
            os.write(self._tty, b"\n")
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, self._leave)

    def _resume(self, _number: int, _frame: FrameType | None) -> None:
        """Ask anew after a stop, SIGSTOP included: the shell had the terminal meanwhile."""
        if self._line is not None:
            self._line.clear()
        if self._before is not None:
            self._silence(self._before)
            os.write(self._tty, self._asked)


def _behind(line: TypedLine) -> bytes:
    """Return the input after the end of a line, with a newline before it; b"" if none."""
    more = line.behind
    for mark in PASTE_MARKS:
        more = more.replace(b"\x1b" + mark, b"")
    return b"\n" + more if more.strip() else b""
