"""Take a request to its answer; every failure becomes an answer.

Before each answer the agent checks what other agents of the directory did (store/other_agents.py).
Quick requests are answered in the callback that read them, and fetches if they can be. A request that waits for a disk, a
keyring or a key derivation becomes a coroutine; its secret stays in a block of the arena until the
coroutine ends. A defect of the agent is reported by its type and place only, never by its message.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, Protocol

from tokenward_agent.arena import ArenaFull
from tokenward_agent.failure import Failure, KeyDestroyed, describe_fault
from tokenward_agent.requests.overview import NAMES_BYTES, fit_names
from tokenward_agent.store.lookup import Ambiguous, locked_meanwhile_error
from tokenward_agent.vault.errors import VaultError
from tokenward_agent.wire.answer import Answer, failure_answer
from tokenward_protocol.messages import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tokenward_agent.arena import Arena
    from tokenward_agent.requests.recording import Recorder
    from tokenward_agent.store.other_agents import OtherAgents
    from tokenward_agent.wire.request import Request
    from tokenward_protocol.packing import Value

    SyncHandler = Callable[[Request], Answer | None]  # None: it has to wait, for a slow one
    AsyncHandler = Callable[[Request, memoryview], Awaitable[Answer]]

    class FetchHandler(Protocol):
        """Answers fetches."""

        def try_fetch(self, request: Request, /) -> Answer | None:
            """Answer at once; return None if the fetch has to wait."""
            ...

        async def fetch(self, request: Request, body: memoryview, /) -> Answer:
            """Answer after waiting."""
            ...


MOST_ENTRIES: Final = 100
"""The most entries of one account that an error lists."""


class Dispatch:
    """Dispatches requests to an agent of `directory`; `asked` gets each operation first."""

    def __init__(
        self,
        directory: str,
        arena: Arena,
        other_agents: OtherAgents,
        recorder: Recorder,
        on_request: Callable[[str], None],
        quick: Mapping[str, SyncHandler],
        slow: Mapping[str, AsyncHandler],
    ) -> None:
        self._directory, self._arena, self._other_agents = directory, arena, other_agents
        self._recorder, self._on_request = recorder, on_request
        self._quick, self._slow = quick, slow

    def __call__(self, request: Request, body: memoryview) -> Answer | Awaitable[Answer]:
        """Return the answer, or an awaitable of it; `body` is valid only during this call."""
        self._on_request(request.op)
        answer = self._begin(request, body)
        if isinstance(answer, Answer):
            self._recorder.record_decision(request, answer)
        return answer

    def _begin(self, request: Request, body: memoryview) -> Answer | Awaitable[Answer]:
        try:
            if request.directory and request.directory != self._directory:
                raise Failure("other-directory", "The agent serves another credentials directory.")
            if request.arguments.get("provider", "disabled") not in PROVIDERS:
                raise Failure("bad-request", f"The provider must be one of {', '.join(PROVIDERS)}.")
            if self._other_agents.check():
                return self._answer_later(self._answer_after_catch_up, request, body)
            return self._try(request) or self._answer_later(self._slow[request.op], request, body)
        except Exception as error:  # noqa: BLE001 - every request is answered
            return failure_answer(request.number, failure_of(error))

    async def _answer_after_catch_up(self, request: Request, body: memoryview) -> Answer:
        """Read what other agents saved, then answer."""
        await self._other_agents.catch_up()
        return self._try(request) or await self._slow[request.op](request, body)

    def _try(self, request: Request) -> Answer | None:
        """Answer at once; return None if that has to wait."""
        quick = self._quick.get(request.op)
        return None if quick is None else quick(request)

    def _answer_later(
        self, handler: AsyncHandler, request: Request, body: memoryview
    ) -> Awaitable[Answer]:
        """Copy the body into the arena, so that the handler may run after this callback."""
        block = self._arena.allocate(len(body))
        block[:] = body
        return self._answer(handler, request, block)

    async def _answer(self, handler: AsyncHandler, request: Request, block: memoryview) -> Answer:
        try:
            answer = await handler(request, block)
        except Exception as error:  # noqa: BLE001 - every request is answered
            answer = failure_answer(request.number, failure_of(error))
        finally:
            self._arena.release(block)
        self._recorder.record_decision(request, answer)
        return answer


class ChosenFetch:
    """Fetches by what `choose` returns: what answers a request, and the request to answer."""

    def __init__(self, choose: Callable[[Request], tuple[FetchHandler, Request]]) -> None:
        self._choose = choose

    def try_fetch(self, request: Request) -> Answer | None:
        """Answer at once; return None if the fetch has to wait. Raises Failure."""
        handler, chosen = self._choose(request)
        return handler.try_fetch(chosen)

    async def fetch(self, request: Request, body: memoryview) -> Answer:
        """Answer after waiting. Raises Failure."""
        handler, chosen = self._choose(request)
        return await handler.fetch(chosen, body)


def _entries_of(error: Ambiguous) -> dict[str, Value]:
    """Return the entries of one account that compete, each by its projects."""
    if not error.limits:
        return {}
    shown = error.limits[:MOST_ENTRIES]
    return {
        "why": "several tokens",
        "entries": [None if each is None else fit_names(each, NAMES_BYTES) for each in shown],
    }


def failure_of(error: Exception) -> Failure:
    """Return the failure that an answer reports for an exception."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, VaultError):
        return Failure(error.code, error.message, error.hint)
    if isinstance(error, Ambiguous):
        return Failure(
            "ambiguous",
            str(error),
            "name the project with `--project`" if error.limits else "name one with `--username`",
            service=error.service,
            usernames=fit_names(error.usernames),
            **_entries_of(error),
        )
    if isinstance(error, KeyDestroyed):
        return locked_meanwhile_error()
    if isinstance(error, ArenaFull):
        return Failure("busy", "The agent's locked memory is full.", "try again")
    if isinstance(error, MemoryError):
        return Failure("busy", "The agent has no memory left for this.", "try again")
    sys.stderr.write(f"tokenward-agent: Internal error: {describe_fault(error)}.\n")
    return Failure(
        "internal",
        f"The agent had an internal error ({describe_fault(error)}).",
        "`auth agent restart`",
    )
