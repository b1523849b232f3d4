"""The dialogue with a pinentry: lines of the Assuan protocol, until a deadline or a hang-up.

Source: "Developing with Assuan" (the manual of libassuan, 2.3) and "Protocol" in pinentry's own. A
line has at most 1000 bytes with its end; `%`, carriage return and line feed travel as `%25`, `%0D`
and `%0A`, in both directions, so that no text can become a command. Replies are bounded, too.

The worker waits for the program until a deadline, or until the requester hangs up. If the program had
to be killed, its terminal is restored.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import contextlib
import os
import re
import select
import termios
import time
from binascii import unhexlify
from typing import TYPE_CHECKING, Final

from tokenward_agent.worker.job import JobError

if TYPE_CHECKING:
    from collections.abc import Sequence

_RESET: Final = b"\x1b[?1049l\x1b[?25h\x1b[0m\r\n"
"""Leaves the screen that curses draws on and shows the cursor, as curses does at its end."""

_HUNG_UP: Final = getattr(select, "POLLRDHUP", 0)
"""Reports that the other end sends no more (Linux); POLLHUP is always reported."""

_ESCAPED: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_GLANCE: Final = 0.05  # seconds between two looks at the settings of a program's terminal


MAX_LINE: Final = 1000
MAX_TEXT: Final = MAX_LINE - len("SETDESC ") - 1  # bytes of a description, escaped
_MAX_REPLY: Final = 64 * 1024
TIMED_OUT: Final = 62
CANCELLED: Final = 99
NOT_CONFIRMED: Final = 114
FULLY_CANCELLED: Final = 198
"""Codes of libgpg-error, in the low 16 bits of the number behind ERR."""


class Stopped(Exception):  # noqa: N818 - a state of the world
    """The wait has ended: `why` is `late`, `gone` (the requester) or `ended`."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class TerminalState:
    """The terminal of a program, "" for none. Raises JobError if it cannot be used."""

    def __init__(self, path: str) -> None:
        self._file: int | None = None
        if not path:
            return
        try:
            self._file = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK)
            self._before = self._seen = termios.tcgetattr(self._file)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise JobError("no-screen", f"The terminal {path} cannot be used: {why}.") from None
        except termios.error:
            raise JobError("no-screen", f"The file {path} is not a terminal.") from None

    def observe(self) -> None:
        """Remember the terminal's present settings, which are the program's."""
        if self._file is not None:
            with contextlib.suppress(termios.error):
                self._seen = termios.tcgetattr(self._file)

    def restore(self) -> None:
        """Restore the first settings, if the present ones are still the program's.

        Otherwise the next program has set its own: a shell whose command was killed. A requester
        that only sends no more (`_HUNG_UP`) still waits, and so does its shell.
        """
        if self._file is not None:
            with contextlib.suppress(OSError, termios.error):
                if termios.tcgetattr(self._file) == self._seen:
                    termios.tcsetattr(self._file, termios.TCSANOW, self._before)
                os.write(self._file, _RESET)

    def close(self) -> None:
        """Close the terminal."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class Deadline:
    """The limits of a wait: `deadline`, by time.monotonic, and a hang-up of `watched`.

    `watched` is a connected socket, None for none; its data is not read.
    """

    def __init__(self, deadline: float, watched: int | None, console: TerminalState) -> None:
        self._deadline, self._watched, self._console = deadline, watched, console

    @property
    def seconds_left(self) -> int:
        """Whole seconds that are left, at least one."""
        return max(int(self._deadline - time.monotonic()), 1)

    def read(self, descriptor: int, size: int) -> bytes:
        """Return the next data, b"" at the end. Raises Stopped."""
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if self._watched is not None:
            poll.register(self._watched, _HUNG_UP)
        while (left := self._deadline - time.monotonic()) > 0:
            ready = dict(poll.poll(min(left, _GLANCE) * 1000))
            if descriptor in ready:
                return os.read(descriptor, size)
            if not ready.get(self._watched or 0, 0) & select.POLLHUP:
                self._console.observe()
            if ready:
                raise Stopped("gone")
        raise Stopped("late")


class PinentryError(Exception):
    """The pinentry answered ERR; `code` is libgpg-error's."""

    def __init__(self, code: int) -> None:
        super().__init__(f"error {code}")
        self.code = code


def escape(text: str, limit: int = MAX_LINE) -> bytes:
    """Return a parameter escaped, cut to at most `limit` bytes."""
    out = b""
    for char in text:
        data = _escape_char(char)
        if len(out) + len(data) > limit:
            break
        out += data
    return out


def _escape_char(char: str) -> bytes:
    data = char.encode("utf-8", "backslashreplace")
    for byte in (b"%", b"\r", b"\n"):
        data = data.replace(byte, b"%%%02X" % byte[0])
    return data


def fit_lines(lines: Sequence[str], limit: int) -> str:
    """Return lines as one text that takes at most `limit` bytes when escaped.

    If they are too long, the longest lose their middle, so that no line pushes another one out.
    """
    most = limit
    while sum(map(_size, text := "\n".join(_shorten(line, most) for line in lines))) > limit:
        most -= 16
    return text


def _shorten(line: str, limit: int) -> str:
    if sum(map(_size, line)) <= limit:
        return line
    half = (limit - _size("…")) // 2
    ends: list[str] = []
    for text in (line, line[::-1]):
        room, end = half, 0
        while (room := room - _size(text[end])) >= 0:
            end += 1
        ends.append(text[:end])
    return f"{ends[0]}…{ends[1][::-1]}"


def _size(char: str) -> int:
    return len(_escape_char(char))


class Pinentry:
    """A running pinentry; `stdin` and `stdout` are our ends of its pipes. Raises Stopped."""

    def __init__(self, stdin: int, stdout: int, deadline: Deadline) -> None:
        self._stdin, self._stdout, self._deadline = stdin, stdout, deadline
        self._said = b""
        self._reply()  # it greets

    def command(self, name: str, parameter: str = "") -> bytes:
        """Send a command and return the data of the reply. Raises PinentryError, Stopped."""
        line = name.encode()
        if parameter:
            line += b" " + escape(parameter, MAX_LINE - len(line) - 2)
        try:
            os.write(self._stdin, line + b"\n")
        except BrokenPipeError:
            raise Stopped("ended") from None
        return self._reply()

    def option(self, name: str, value: str) -> None:
        """Set an option, which an old pinentry may not know. Raises Stopped."""
        try:
            self.command("OPTION", f"{name}={value}")
        except PinentryError:
            return

    def _reply(self) -> bytes:
        data = b""
        while True:
            word, _, rest = self._line().partition(b" ")
            if word == b"OK":
                return data
            if word == b"ERR":
                number = rest.split(b" ")[0][:10]  # 32 bits have no more digits
                raise PinentryError(int(number) & 0xFFFF if number.isdigit() else 0)
            if word == b"INQUIRE":
                raise Stopped("ended")  # no command here lets it ask for more
            if word == b"D":
                data += _ESCAPED.sub(lambda found: unhexlify(found[1]), rest)
            if len(data) > _MAX_REPLY:
                raise Stopped("ended")

    def _line(self) -> bytes:
        while b"\n" not in self._said:
            more = self._deadline.read(self._stdout, 4096)
            if not more or len(self._said) > _MAX_REPLY:
                raise Stopped("ended")
            self._said += more
        line, _, self._said = self._said.partition(b"\n")
        return line
