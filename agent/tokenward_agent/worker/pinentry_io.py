"""How a worker waits for a prompt's program: until a deadline, or until the requester hangs up.

If the program had to be killed, its terminal is restored.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import time
from typing import Final

from tokenward_agent.worker.job import JobError

assert sys.platform != "win32"  # noqa: S101 - for type checkers


_RESET: Final = b"\x1b[?1049l\x1b[?25h\x1b[0m\r\n"
"""Leaves the screen that curses draws on and shows the cursor, as curses does at its end."""

_HUNG_UP: Final = getattr(select, "POLLRDHUP", 0)
"""Reports that the other end sends no more (Linux); POLLHUP is always reported."""

_GLANCE: Final = 0.05
"""Seconds between two looks at the settings of a program's terminal."""


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
        self._deadline = deadline
        self._watched = watched
        self._console = console

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
