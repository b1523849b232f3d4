"""Take a request to its answer; every failure becomes an answer.

Before each answer the agent checks what other agents of the directory did (store/elsewhere.py).
Quick requests are answered in the callback that read them. A request that waits for a disk, a
keyring or a key derivation becomes a coroutine; its secret stays in a block of the arena until the
coroutine ends. A defect of the agent is reported by its type and place only, never by its message.
"""

from __future__ import annotations

import sys

from tokenward_agent.arena import ArenaFull
from tokenward_agent.failure import Failure, Gone
from tokenward_agent.faults import fault
from tokenward_agent.requests.overview import fitting
from tokenward_agent.store.found import overtaken
from tokenward_agent.store.lookup import Ambiguous
from tokenward_agent.vault.errors import VaultError
from tokenward_agent.wire.answer import Answer, not_done
from tokenward_protocol.messages import PROVIDERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Protocol

    from tokenward_agent.arena import Arena
    from tokenward_agent.requests.recording import Recorder
    from tokenward_agent.store.elsewhere import Elsewhere
    from tokenward_agent.wire.request import Request

    Quick = Callable[[Request], Answer]
    Slow = Callable[[Request, memoryview], Awaitable[Answer]]

    class Fetches(Protocol):
        """Answers fetches."""

        def now(self, request: Request, /) -> Answer | None:
            """Answer at once; return None if the fetch has to wait."""
            ...

        async def later(self, request: Request, body: memoryview, /) -> Answer:
            """Answer after waiting."""
            ...


class Dispatch:
    """Dispatches requests to an agent of `directory`; `asked` gets each operation first."""

    def __init__(
        self,
        directory: str,
        arena: Arena,
        elsewhere: Elsewhere,
        fetch: Fetches,
        recorder: Recorder,
        asked: Callable[[str], None],
        quick: Mapping[str, Quick],
        slow: Mapping[str, Slow],
    ) -> None:
        self._directory = directory
        self._arena = arena
        self._elsewhere = elsewhere
        self._fetch = fetch
        self._recorder = recorder
        self._asked = asked
        self._quick = quick
        self._slow = slow

    def __call__(self, request: Request, body: memoryview) -> Answer | Awaitable[Answer]:
        """Return the answer, or an awaitable of it; `body` is valid only during this call."""
        self._asked(request.op)
        answer = self._begun(request, body)
        if isinstance(answer, Answer):
            self._recorder.decided(request, answer)
        return answer

    def _begun(self, request: Request, body: memoryview) -> Answer | Awaitable[Answer]:
        try:
            if request.directory and request.directory != self._directory:
                raise Failure("other-directory", "The agent serves another credentials directory.")
            if request.arguments.get("provider", "disabled") not in PROVIDERS:
                raise Failure("bad-request", f"A provider is one of {', '.join(PROVIDERS)}.")
            if self._elsewhere.look():
                return self._slowly(self._caught_up, request, body)
            if request.op == "fetch":
                return self._fetch.now(request) or self._slowly(self._fetch.later, request, body)
            quick = self._quick.get(request.op)
            if quick is not None:
                return quick(request)
            return self._slowly(self._slow[request.op], request, body)
        except Exception as error:  # noqa: BLE001 - every request is answered
            return not_done(request.number, _failure(error))

    async def _caught_up(self, request: Request, body: memoryview) -> Answer:
        """Read what other agents saved, then answer."""
        await self._elsewhere.catch_up()
        if request.op == "fetch":
            return self._fetch.now(request) or await self._fetch.later(request, body)
        quick = self._quick.get(request.op)
        return await self._slow[request.op](request, body) if quick is None else quick(request)

    def _slowly(self, handler: Slow, request: Request, body: memoryview) -> Awaitable[Answer]:
        """Copy the body into the arena, so that the handler may run after this callback."""
        block = self._arena.take(len(body))
        block[:] = body
        return self._answered(handler, request, block)

    async def _answered(self, handler: Slow, request: Request, block: memoryview) -> Answer:
        try:
            answer = await handler(request, block)
        except Exception as error:  # noqa: BLE001 - every request is answered
            answer = not_done(request.number, _failure(error))
        finally:
            self._arena.give(block)
        self._recorder.decided(request, answer)
        return answer


def _failure(error: Exception) -> Failure:
    """Return the failure that an answer reports for an exception."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, VaultError):
        return Failure(error.code, error.message, error.hint)
    if isinstance(error, Ambiguous):
        return Failure(
            "ambiguous",
            str(error),
            "name one with `--username`",
            service=error.service,
            usernames=fitting(error.usernames),
        )
    if isinstance(error, Gone):
        return overtaken()
    if isinstance(error, ArenaFull):
        return Failure("busy", "The agent's locked memory is full.", "try again")
    if isinstance(error, MemoryError):
        return Failure("busy", "The agent has no memory left for this.", "try again")
    sys.stderr.write(f"tokenward-agent: Internal error: {fault(error)}.\n")
    return Failure(
        "internal", f"The agent had an internal error ({fault(error)}).", "`auth agent restart`"
    )
