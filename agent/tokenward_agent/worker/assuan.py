"""The dialogue with a pinentry: lines of the Assuan protocol over its stdin and stdout.

Source: "Developing with Assuan" (the manual of libassuan, 2.3) and "Protocol" in pinentry's own. A
line has at most 1000 bytes with its end; `%`, carriage return and line feed travel as `%25`, `%0D`
and `%0A`, so that no text can become a command. Replies are bounded, too.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

assert sys.platform != "win32"

import os

from tokenward_agent.worker.pinentry_io import Deadline, Stopped

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_LINE: Final = 1000
MAX_TEXT: Final = MAX_LINE - len("SETDESC ") - 1
"""Bytes of a description, escaped."""
_MAX_REPLY: Final = 64 * 1024

TIMED_OUT: Final = 62
CANCELLED: Final = 99
NOT_CONFIRMED: Final = 114
FULLY_CANCELLED: Final = 198
"""Codes of libgpg-error, in the low 16 bits of the number behind ERR."""


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
        self._stdin = stdin
        self._stdout = stdout
        self._deadline = deadline
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
                data += rest
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
