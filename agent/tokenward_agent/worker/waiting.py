"""How a worker waits for a person's program: for so long, and for as long as somebody still asks.

A terminal that such a program was not let finish on is brought back to how it was found.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import time

from tokenward_agent.worker.job import JobError

assert sys.platform != "win32"  # noqa: S101 - it is what type checkers read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_RESET: Final = b"\x1b[?1049l\x1b[?25h\x1b[0m\r\n"
"""Leaves the screen that curses draws on and shows the cursor, as curses itself does at its end."""

_HUNG_UP: Final = getattr(select, "POLLRDHUP", 0)
"""Beside POLLHUP, which is always told: that the other end sends no more (Linux)."""

_GLANCE: Final = 0.05
"""Seconds between two looks at how a program has its terminal."""


class Stopped(Exception):  # noqa: N818 - a state of the world
    """Nothing more will come: `why` is `late`, `gone` (whoever it was for) or `ended`."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Console:
    """A terminal that a program is let work on; a `path` of "" is none.

    Raises JobError if it cannot be used.
    """

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
            raise JobError("no-screen", f"The file {path} is no terminal.") from None

    def look(self) -> None:
        """See how the program has it by now."""
        if self._file is not None:
            with contextlib.suppress(termios.error):
                self._seen = termios.tcgetattr(self._file)

    def restore(self) -> None:
        """Bring it back to how it was found, if it is as the program had it.

        Otherwise whoever works on it next has made it theirs: a shell whose command was killed. One
        that only sends no more (`_HUNG_UP`) still waits, so that the shell does, too.
        """
        if self._file is not None:
            with contextlib.suppress(OSError, termios.error):
                if termios.tcgetattr(self._file) == self._seen:
                    termios.tcsetattr(self._file, termios.TCSANOW, self._before)
                os.write(self._file, _RESET)

    def close(self) -> None:
        """Let go of it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class Patience:
    """How long to wait: until `deadline`, by time.monotonic, or until `watched` is hung up on.

    `watched` is a connected socket, None for none; what comes through it is nobody's business here.
    """

    def __init__(self, deadline: float, watched: int | None, console: Console) -> None:
        self._deadline = deadline
        self._watched = watched
        self._console = console

    @property
    def seconds(self) -> int:
        """Whole seconds that are left, at least one."""
        return max(int(self._deadline - time.monotonic()), 1)

    def read(self, descriptor: int, size: int) -> bytes:
        """Return what can be read next, b"" at the end. Raises Stopped."""
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if self._watched is not None:
            poll.register(self._watched, _HUNG_UP)
        while (left := self._deadline - time.monotonic()) > 0:
            ready = dict(poll.poll(min(left, _GLANCE) * 1000))
            if descriptor in ready:
                return os.read(descriptor, size)
            if not ready.get(self._watched or 0, 0) & select.POLLHUP:
                self._console.look()
            if ready:
                raise Stopped("gone")
        raise Stopped("late")
