"""`fetch`: the secret that answers, at once if an open vault has it; and `describe`, what it is.

That is the request that everything else is for. The answer of an open vault is made in the callback
that read the request; one that has to wait, for a vault that needs nobody or for a keyring that
keeps an adopted credential, is a coroutine. Both requests find alike.
"""

from __future__ import annotations

from tokenward_agent.requests.naming import named, places, require_canonical
from tokenward_agent.requests.narrowing import narrowed, wish
from tokenward_agent.requests.overview import full
from tokenward_agent.wire.answer import Answer, done

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward_agent.failure import Failure
    from tokenward_agent.requests.narrowing import Wish
    from tokenward_agent.store.adopted import AdoptedSecrets
    from tokenward_agent.store.children import Children, Sealed
    from tokenward_agent.store.opening import Opening
    from tokenward_agent.store.vaults import Found, Vaults
    from tokenward_agent.wire.request import Request

    Evidence = Callable[[Request], tuple[str, ...]]


def no_evidence(_request: Request) -> tuple[str, ...]:
    """Say that nothing is known about which projects a fetch is for."""
    return ()


class Fetch:
    """Answers the fetches of one agent.

    `evidence` says for which projects (normalised names) an asker seems to need the credential.
    """

    def __init__(
        self,
        vaults: Vaults,
        opening: Opening,
        adopted: AdoptedSecrets,
        children: Children,
        evidence: Evidence = no_evidence,
    ) -> None:
        self._vaults = vaults
        self._opening = opening
        self._adopted = adopted
        self._children = children
        self._evidence = evidence

    def now(self, request: Request) -> Answer | None:
        """Answer at once from the open vaults; None if that has to wait for something."""
        asked, provider = wish(request), request.text("provider")
        if self._opening.settling(provider):
            return None
        found = self._find(request)
        if found is None:
            if self._opening.can_open(provider):
                return None
            raise self._miss(request)
        if found.record.adopted is not None:
            return None
        return self._handed_out(request, asked, found, found.sealed())

    async def later(self, request: Request, _body: memoryview) -> Answer:
        """Answer once vaults that need nobody are open, or a keyring has said what it keeps."""
        found, secret = await self._looked_up(request)
        return self._handed_out(request, wish(request), found, secret)

    async def describe(self, request: Request, _body: memoryview) -> Answer:
        """Say what is visible of a credential, and nothing that could be used."""
        found, secret = await self._looked_up(request)
        token = self._children.seen(secret)
        return done(request.number, None, **full(found, token))

    def _find(self, request: Request) -> Found | None:
        return self._vaults.find(
            places(request), request.text("username"), request.text("provider")
        )

    def _miss(self, request: Request) -> Failure:
        service = request.text("service")
        if service is not None:
            require_canonical(service)  # looked at here alone: every hit is one
        return self._vaults.miss(named(request), request.text("provider"))

    async def _looked_up(self, request: Request) -> tuple[Found, Sealed]:
        """Open what needs nobody and look again, and read what stays in a keyring."""
        provider = request.text("provider")
        if self._opening.can_open(provider):
            await self._opening.open_unattended(provider, lambda: self._find(request))
        found = self._find(request)
        if found is None:
            raise self._miss(request)
        if found.record.adopted is None:
            return found, found.sealed()
        return found, await self._adopted.secret(found.record)

    def _handed_out(self, request: Request, asked: Wish, found: Found, secret: Sealed) -> Answer:
        """Answer with a child of a secret, or with the secret itself. Raises Failure."""
        record, now = found.record, self._vaults.clock.wall()
        likely = () if asked.whole else self._evidence(request)
        made = narrowed(self._children, secret, record, asked, now, likely)
        found.vault.use(record, now)
        end = None if record.expires is None else record.expires.wall_end
        return done(
            request.number,
            secret if made is None else made.secret,
            service=record.service,
            username=record.username,
            provider=found.vault.provider,
            created=record.created,
            expires=end if made is None else made.expires,
            narrowed=made is not None,
            projects=None if made is None or made.projects is None else [*made.projects],
        )
