"""From a request to its answer, whatever happens in between.

A fetch that an open vault can answer is answered at once, in the callback that read it. What
waits for a disk, a keyring or a key derivation becomes a coroutine; its secret, if it has one,
stays in a block of the locked arena until it is done. Every failure becomes an answer here; a
mistake of ours is told by its kind and place alone.
"""

from __future__ import annotations

import sys

from tokenward_agent.arena import ArenaFull
from tokenward_agent.faults import fault
from tokenward_agent.requests.overview import fitting
from tokenward_agent.store.lookup import Ambiguous
from tokenward_agent.vault.errors import VaultError
from tokenward_agent.wire.answer import Answer, Failure, done, not_done
from tokenward_protocol.messages import PROVIDERS
from tokenward_protocol.urls import is_canonical

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable

    from tokenward_agent.arena import Arena
    from tokenward_agent.requests.handlers import Handlers, SlowHandler
    from tokenward_agent.wire.request import Request


class Dispatch:
    """Answers the requests to an agent that serves `directory`."""

    def __init__(self, directory: str, handlers: Handlers, arena: Arena) -> None:
        self._directory = directory
        self._handlers = handlers
        self._vaults = handlers.vaults
        self._locking = handlers.locking
        self._arena = arena

    def __call__(self, request: Request, body: memoryview) -> Answer | Awaitable[Answer]:
        """Answer a request, or return what will; `body` is only valid during this call."""
        try:
            if request.directory and request.directory != self._directory:
                raise Failure("other-directory", "The agent serves another credentials directory.")
            if request.arguments.get("provider", "disabled") not in PROVIDERS:
                raise Failure("bad-request", f"A provider is one of {', '.join(PROVIDERS)}.")
            if request.op == "fetch":
                return self._fetch(request) or self._slowly(self._fetch_later, request, body)
            quick = self._handlers.quick.get(request.op)
            if quick is not None:
                return quick(request)
            return self._slowly(self._handlers.slow[request.op], request, body)
        except Exception as error:  # noqa: BLE001 - every request is answered
            return not_done(request.number, _failure(error))

    def _slowly(
        self, handler: SlowHandler, request: Request, body: memoryview
    ) -> Awaitable[Answer]:
        """Take the body over, so that the handler may run after this callback."""
        block = self._arena.take(len(body))
        block[:] = body
        return self._answered(handler, request, block)

    async def _answered(self, handler: SlowHandler, request: Request, block: memoryview) -> Answer:
        try:
            return await handler(request, block)
        except Exception as error:  # noqa: BLE001 - every request is answered
            return not_done(request.number, _failure(error))
        finally:
            self._arena.give(block)

    def _fetch(self, request: Request) -> Answer | None:
        """Answer at once from the open vaults; None if that has to wait for something."""
        settling = self._locking.settling(request.text("provider"))
        return None if settling else self._from_open(request)

    def _from_open(self, request: Request) -> Answer | None:
        """Answer from the open vaults; None if a vault has to be opened or a keyring read first."""
        service = str(request.arguments["service"])
        username, provider = request.text("username"), request.text("provider")
        found = self._vaults.find(service, username, provider)
        if found is None:
            if self._locking.can_open(provider):
                return None
            if "://" in service and not is_canonical(service):
                raise Failure("bad-request", "The service is not in its canonical spelling.")
            raise self._vaults.miss(service, provider)
        record = found.record
        if record.adopted is not None:
            return None
        found.vault.use(record, self._vaults.clock.wall())
        return done(
            request.number,
            found.sealed(),
            service=record.service,
            username=record.username,
            provider=found.vault.provider,
            created=record.created,
            expires=None if record.expires is None else record.expires.wall_end,
        )

    async def _fetch_later(self, request: Request, _body: memoryview) -> Answer:
        """Open what needs nobody and look again, or read what stays in a keyring."""
        service, username = str(request.arguments["service"]), request.text("username")
        provider = request.text("provider")
        if self._locking.can_open(provider):
            await self._locking.open_unattended(
                provider, lambda: self._vaults.find(service, username, provider)
            )
        answer = self._from_open(request)
        return answer or await self._handlers.fetch_adopted(request)


def _failure(error: Exception) -> Failure:
    """Return what an answer says about an exception."""
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
    if isinstance(error, ArenaFull):
        return Failure("busy", "The agent's locked memory is full.", "try again")
    if isinstance(error, MemoryError):
        return Failure("busy", "The agent has no memory left for this.", "try again")
    sys.stderr.write(f"tokenward-agent: A mistake of ours: {fault(error)}.\n")
    return Failure(
        "internal", f"The agent made a mistake ({fault(error)}).", "`auth agent restart`"
    )
