"""The prompts to the user, for an approval or a passphrase: one at a time, each with a deadline.

A program in a worker process of its own shows the prompt; a program that hangs delays no other
request and is killed at its deadline. A request that waits for another prompt waits within its own
deadline.

The program is the one that the agent's own environment or the user's config.toml names, never one
from a request; else one of the usual names in folders of the system. PATH does not count: it is that
of the process that started the agent. Without a display only programs for a terminal are used.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tokenward_agent.failure import Failure
from tokenward_agent.worker.runner import WorkerError, run_job

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    from tokenward_agent.arena import Arena

FOLDERS: Final = (
    "/usr/bin",
    "/bin",
    "/usr/local/bin",
    "/opt/homebrew/bin",
    "/opt/local/bin",
    "/run/current-system/sw/bin",
    "/usr/libexec",
    "/usr/lib/ssh",
    "/usr/lib/openssh",
)
_USUAL: Final = ("pinentry",)  # the choice of the system's administrator, graphical or not
_GRAPHICAL: Final = ("pinentry-gnome3", "pinentry-qt", "pinentry-gtk-2", "pinentry-mac")
_CURSES: Final = ("pinentry-curses", "pinentry-tty")
_FIELDS: Final = ("ssh-askpass", "gnome-ssh-askpass", "ksshaskpass")


SECONDS: Final = 60  # the time limit of a prompt, from the request on
NOT_ASKED: Final = "no prompt could be shown"  # the reason in the log
_LEAST: Final = 15  # seconds that have to be left for reading a prompt
_EARLIER: Final = 4  # seconds by which the prompt ends before the agent's deadline


def find_program(
    named: str, *, display: bool, tty: bool, runs: Callable[[str], bool] | None = None
) -> str | None:
    """Return the absolute path of a program for prompts, or None.

    `named` is the configured one, a path or a name in the folders, "" for none. `runs` tells
    whether a path is a program.
    """
    if named.startswith("/"):
        return named
    runs = runs or (lambda path: os.path.isfile(path) and os.access(path, os.X_OK))
    return next(filter(runs, _candidates(named, display=display, tty=tty)), None)


def _candidates(named: str, *, display: bool, tty: bool) -> Iterator[str]:
    if named:
        names: tuple[str, ...] = (named,)
    elif display and tty:
        names = _USUAL + _GRAPHICAL + _CURSES + _FIELDS
    elif display:
        names = _GRAPHICAL + _USUAL + _FIELDS
    else:
        names = _CURSES + _USUAL
    for name in names:
        for folder in FOLDERS:
            yield f"{folder}/{name}"


class PromptContext(NamedTuple):
    """Where to prompt: the variables of a graphical session, a terminal and its type.

    The terminal `is_shared` if the requester may go on to write to it.
    """

    variables: Mapping[str, str]
    tty: str
    term: str
    is_shared: bool = False

    @property
    def has_display(self) -> bool:
        """Whether there is a graphical session."""
        return bool(self.variables.keys() & {"DISPLAY", "WAYLAND_DISPLAY"})


class Prompter:
    """The user at the screen that a request names."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._asked = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[float]:
        """Wait until no other prompt is open, and lend this prompt's deadline, by the loop's clock.

        Raises Failure if the other prompt stays open for too long.
        """
        end = asyncio.get_running_loop().time() + SECONDS
        try:
            async with asyncio.timeout_at(end - _LEAST):
                await self._asked.acquire()
        except TimeoutError:
            raise Failure("busy", "Another prompt is open.", "try again") from None
        try:
            yield end
        finally:
            self._asked.release()

    async def ask(
        self,
        lines: Sequence[str],
        prompt_context: PromptContext,
        program: str,
        end: float,
        connection: int | None,
    ) -> str:
        """Ask for an approval and return `yes`, `no`, `late` or `gone`.

        `program` is the configured program, "" for any; `connection` the requester's socket, None if it
        cannot hang up. Raises Failure if no prompt can be shown.
        """
        left = int(end - asyncio.get_running_loop().time())
        lines = [*lines, f"No answer within {left - _EARLIER} seconds is a no."]
        found = await self._show(
            "consent-ask", lines, prompt_context, program, left, connection, None
        )
        answer: str = found["answer"]
        return answer

    async def ask_passphrase(
        self,
        lines: Sequence[str],
        prompt_context: PromptContext,
        program: str,
        end: float,
        connection: int | None,
        into: memoryview,
    ) -> int:
        """Ask for a passphrase, write it to the start of *into* and return its size in bytes.

        0 if the user gives none. The rest is as in `ask`.
        """
        left = int(end - asyncio.get_running_loop().time())
        found = await self._show(
            "consent-passphrase", lines, prompt_context, program, left, connection, into
        )
        return int(found["size"]) if found["answer"] == "yes" else 0

    async def _show(
        self,
        job: str,
        lines: Sequence[str],
        prompt_context: PromptContext,
        program: str,
        seconds: int,
        connection: int | None,
        into: memoryview | None,
    ) -> dict[str, Any]:
        """Do a job of prompt_jobs.py. Raises Failure if no prompt can be shown."""
        chosen = find_program(
            program, display=prompt_context.has_display, tty=bool(prompt_context.tty)
        )
        if chosen is None:
            raise Failure(
                "refused",
                "No program that can show a prompt here was found.",
                "install a pinentry, or set `pinentry` in config.toml",
                why=NOT_ASKED,
            )
        header = {
            "lines": [*lines],
            "program": chosen,
            "screen": dict(prompt_context.variables),
            "tty": prompt_context.tty,
            "term": prompt_context.term or "dumb",
            "watched": connection is not None,
            "shared": prompt_context.is_shared,
        }
        try:
            return await run_job(self._arena, job, header, None, into, seconds, {}, connection)
        except WorkerError as error:
            if error.code == "timeout":
                return {"answer": "late"}
            raise Failure("refused", str(error), error.hint, why=NOT_ASKED) from None
