"""The requests that ask an index about a stored credential: `check`, and `revoke` for its holder.

The secret goes to a worker, which sends the request to the index of the credential and answers with
the result alone. So the client learns it of a sealed credential, too. The policy decides as for a
fetch. What the worker trusts and the proxy that it goes by are those of a relay: what the environment of
the requester names counts only if the login of the credential named the same, since any program may ask.

A process behind a relay is refused: it could revoke what it uses.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tokenward_agent.failure import Failure
from tokenward_agent.relay.index_worker import ask_index
from tokenward_agent.requests.attenuation import WorkerDelivery
from tokenward_agent.wire.answer import success_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward_agent.arena import Arena
    from tokenward_agent.policy.file import PolicyFile
    from tokenward_agent.requests.fetch import Fetch
    from tokenward_agent.requests.grants import Grant
    from tokenward_agent.wire.answer import Answer
    from tokenward_agent.wire.request import Request


class IndexRequests:
    """Asks indexes about credentials of one agent; `covers` tells whether a peer is within a run."""

    def __init__(
        self, arena: Arena, fetch: Fetch, policy: PolicyFile, covers: Callable[[object], bool]
    ) -> None:
        self._arena = arena
        self._fetch = fetch
        self._policy = policy
        self._covers = covers

    async def check(self, request: Request, body: memoryview) -> Answer:
        """Ask the index whether it accepts the credential. Raises Failure."""
        return await self._ask(request, body, "check", "the answer of the index about it")

    async def revoke(self, request: Request, body: memoryview) -> Answer:
        """Have the index revoke the credential. Raises Failure."""
        return await self._ask(request, body, "revoke", "the credential revoked at its index")

    async def _ask(self, request: Request, body: memoryview, what: str, described: str) -> Answer:
        if self._covers(request.peer):
            raise Failure(
                "refused",
                "This process runs behind a relay, which asks no index about a credential.",
                f"`auth {'token --check' if what == 'check' else 'logout --revoke'}` outside of it",
            )

        def describe(_grant: Grant) -> list[str]:
            return [described]

        make = partial(WorkerDelivery, bounds=(what,))
        found, record, _ = await self._fetch.fetch_for_run(request, (), describe, make)
        if found.secret is None:
            raise AssertionError  # a fetch has a secret
        names = {key: found.values[key] for key in ("service", "username", "provider")}
        decided = {key: found.values[key] for key in ("rule", "consent")}
        settings = self._policy.policy.relay
        asked = {
            **names,
            "kind": settings.kind_at(str(names["service"])),
            "ca": settings.ca,
            "proxy": settings.proxy,
            "accepted": [*record.trust],
            "proxied": (request.text("proxied") or "").split(","),
        }
        said = await ask_index(self._arena, what, asked, found.secret, body)
        return success_answer(request.number, None, **names, **said, **decided)
