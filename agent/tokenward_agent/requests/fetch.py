"""`fetch`: the secret that answers, at once if an open vault has it.

That is the request that everything else is for. The answer of an open vault is made in the callback
that read the request; one that has to wait, for a vault that needs nobody or for a keyring that
keeps an adopted credential, is a coroutine.
"""

from __future__ import annotations

from tokenward_agent.requests.naming import named, places, require_canonical
from tokenward_agent.wire.answer import Answer, done

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward_agent.failure import Failure
    from tokenward_agent.store.adopted import AdoptedSecrets
    from tokenward_agent.store.opening import Opening
    from tokenward_agent.store.vaults import Found, Vaults
    from tokenward_agent.wire.request import Request


class Fetch:
    """Answers the fetches of one agent."""

    def __init__(self, vaults: Vaults, opening: Opening, adopted: AdoptedSecrets) -> None:
        self._vaults = vaults
        self._opening = opening
        self._adopted = adopted

    def now(self, request: Request) -> Answer | None:
        """Answer at once from the open vaults; None if that has to wait for something."""
        settling = self._opening.settling(request.text("provider"))
        return None if settling else self._from_open(request)

    def _find(self, request: Request) -> Found | None:
        return self._vaults.find(
            places(request), request.text("username"), request.text("provider")
        )

    def _from_open(self, request: Request) -> Answer | None:
        """Answer from the open vaults; None if a vault has to be opened or a keyring read first."""
        found = self._find(request)
        if found is None:
            if self._opening.can_open(request.text("provider")):
                return None
            raise self._miss(request)
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

    def _miss(self, request: Request) -> Failure:
        service = request.text("service")
        if service is not None:
            require_canonical(service)  # looked at here alone: every hit is one
        return self._vaults.miss(named(request), request.text("provider"))

    async def later(self, request: Request, _body: memoryview) -> Answer:
        """Open what needs nobody and look again, or read what stays in a keyring."""
        provider = request.text("provider")
        if self._opening.can_open(provider):
            await self._opening.open_unattended(provider, lambda: self._find(request))
        answer = self._from_open(request)
        return answer or await self._adopted_secret(request)

    async def _adopted_secret(self, request: Request) -> Answer:
        """Answer a fetch whose credential stays in a keyring."""
        found = self._find(request)
        if found is None:
            raise self._miss(request)
        secret = await self._adopted.secret(found.record)
        record = found.record
        found.vault.use(record, self._vaults.clock.wall())
        return done(
            request.number,
            secret,
            service=record.service,
            username=record.username,
            provider=found.vault.provider,
            created=record.created,
            expires=secret.expires,
        )
