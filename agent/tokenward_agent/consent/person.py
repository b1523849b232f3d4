"""The person who is asked: one question at a time, each with an end.

A question is put by a program in a worker process of its own, so a program that hangs holds up
nobody else's request and is dead at its deadline. Whoever has to wait until another question is
answered waits within the same deadline.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import NamedTuple

from tokenward_agent.consent.programs import program
from tokenward_agent.failure import Failure
from tokenward_agent.worker.runner import WorkerError, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from typing import Final

    from tokenward_agent.arena import Arena

SECONDS: Final = 60
"""From the request to its end, whatever happens."""

NOBODY_ASKED: Final = "nobody could be asked"
"""What the log says then."""

_LEAST: Final = 15
"""Seconds that there have to be left for reading a question."""

_EARLIER: Final = 4
"""Seconds by which the program gives up before the agent does."""


class Screen(NamedTuple):
    """Where a person can be asked: the variables of a graphical session, a terminal and its type."""

    variables: Mapping[str, str]
    tty: str
    term: str

    @property
    def display(self) -> bool:
        """Whether there is a graphical session."""
        return bool(self.variables.keys() & {"DISPLAY", "WAYLAND_DISPLAY"})


class Person:
    """Whoever sits before the screen that a request names."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._asked = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[float]:
        """Wait until no other question is open, and lend the time by which this one has to end.

        That is of the loop's clock. Raises Failure where the other one takes too long.
        """
        end = asyncio.get_running_loop().time() + SECONDS
        try:
            async with asyncio.timeout_at(end - _LEAST):
                await self._asked.acquire()
        except TimeoutError:
            raise Failure("busy", "Another question is being asked.", "try again") from None
        try:
            yield end
        finally:
            self._asked.release()

    async def answer(
        self, lines: Sequence[str], screen: Screen, named: str, end: float, asker: int | None
    ) -> str:
        """Put a question and return `yes`, `no`, `late` or `gone`.

        `named` is the program that was chosen, "" for any; `asker` the socket of whoever asks,
        None for nobody who could hang up. Raises Failure where nobody can be asked.
        """
        chosen = program(named, display=screen.display, tty=bool(screen.tty))
        if chosen is None:
            raise Failure(
                "refused",
                "No program was found that can ask a person here.",
                "install a pinentry, or name one by `pinentry` in config.toml",
                why=NOBODY_ASKED,
            )
        left = int(end - asyncio.get_running_loop().time())
        header = {
            "lines": [*lines, f"No answer within {left - _EARLIER} seconds is a no."],
            "program": chosen,
            "screen": dict(screen.variables),
            "tty": screen.tty,
            "term": screen.term or "dumb",
            "watched": asker is not None,
        }
        try:
            found = await run(self._arena, "consent-ask", header, None, None, left, {}, asker)
        except WorkerError as error:
            if error.code == "timeout":
                return "late"
            raise Failure("refused", str(error), error.hint, why=NOBODY_ASKED) from None
        answer: str = found["answer"]
        return answer
