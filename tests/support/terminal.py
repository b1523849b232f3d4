"""Somebody at a real terminal: `auth` on a pty, what it shows, and what is typed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Self

import pexpect  # type: ignore[import-untyped]  # ships no types

from support.auth_commands import PROGRAMS
from support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Protocol

    class Somewhere(Protocol):
        """Where it runs: a home of whichever kind."""

        environment: dict[str, str]
        path: Path


class Typist:
    """One run of `auth` on a terminal of its own. `shown` is all that was on the screen so far."""

    program = str(PROGRAMS / "auth")

    def __init__(self, home: Somewhere, *arguments: str, **variables: str) -> None:
        environment = home.environment | {"TERM": "xterm", "NO_COLOR": "1"} | variables
        self._child = pexpect.spawn(
            self.program,
            list(arguments),
            env=environment,
            cwd=str(home.path),
            encoding="utf-8",
            timeout=PATIENCE,
            dimensions=(24, int(variables.get("COLUMNS", "200"))),
            use_poll=True,  # select(2) takes no descriptor above 1023
        )
        self._child.delaybeforesend = None
        self.shown = ""

    def sees(self, text: str) -> Self:
        """Wait until `text` is on the screen."""
        self._child.expect_exact(text)
        self.shown += str(self._child.before) + text
        return self

    def types(self, text: str) -> Self:
        """Type `text`; a line ends with the return key, `\\r`."""
        self._child.send(text)
        return self

    def answers(self, question: str, answer: str) -> Self:
        """Wait for `question` and answer it."""
        return self.sees(question).types(f"{answer}\r")

    def answers_unseen(self, question: str, secret: str) -> Self:
        """Wait for `question` and for the terminal to show nothing of the answer, and give it.

        A program that asks first and hides the line then throws away what was typed in between.
        """
        self.sees(question)
        until(lambda: not self.echoes())
        return self.types(f"{secret}\r")

    def leaves(self, status: int) -> str:
        """Wait for the end, which has to be `status`, and return all that was shown."""
        self._child.expect(pexpect.EOF)
        self.shown += str(self._child.before)
        until(lambda: not self._child.isalive())  # it may let go of the terminal before it ends
        self._child.close()
        assert self._child.exitstatus == status, self.shown
        return re.sub("\r+\n", "\n", self.shown)

    def hangs_up(self) -> None:
        """Close the terminal, as somebody does with a window."""
        self._child.close(force=True)

    def echoes(self) -> bool:
        """Tell whether the terminal shows what is typed."""
        return bool(self._child.getecho())


class Shell(Typist):
    """An interactive shell on a terminal, for what needs its job control."""

    program = "bash"

    def __init__(self, home: Somewhere) -> None:
        super().__init__(home, "--norc", "--noprofile", "-i", PS1="$ ", HISTFILE="")
