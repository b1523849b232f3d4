"""`fetch`: the secret that answers, at once if an open vault has it; and `describe`, what it is.

That is the request that everything else is for. The answer of an open vault is made in the callback
that read the request; one that has to wait, for a vault that needs nobody, for a keyring that keeps
an adopted credential, for a look at what is to be uploaded or for a person who has to agree, is a
coroutine. Both requests find alike; only what hands a secret out is for the policy to judge.
"""

from __future__ import annotations

from functools import partial

from tokenward_agent.asking.evidence import NOTHING
from tokenward_agent.consent.question import spelled
from tokenward_agent.failure import Failure
from tokenward_agent.requests.naming import named, places, require_canonical
from tokenward_agent.requests.narrowing import narrowed, wish
from tokenward_agent.requests.overview import full
from tokenward_agent.wire.answer import Answer, done

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from tokenward_agent.asking.evidence import Evidence
    from tokenward_agent.policy.file import PolicyFile
    from tokenward_agent.policy.rule import Terms
    from tokenward_agent.requests.gate import Passed
    from tokenward_agent.requests.narrowing import Wish
    from tokenward_agent.store.adopted import AdoptedSecrets
    from tokenward_agent.store.children import Children, Sealed
    from tokenward_agent.store.found import Found
    from tokenward_agent.store.opening import Opening
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.vault.record import Record
    from tokenward_agent.wire.request import Request
    from tokenward_protocol.packing import Value

    Gets = Callable[[Found, Terms], str]

    class Knows(Protocol):
        """Says for which projects a fetch is."""

        def at_once(self, request: Request, /) -> Evidence | None:
            """Return what is known, None where that takes a while."""
            ...

        async def found(self, request: Request, /) -> Evidence:
            """Return what is known, after a while."""
            ...

    class Judges(Protocol):
        """Lets a fetch through or raises Failure; None where a person has to be asked."""

        file: PolicyFile

        def at_once(
            self, request: Request, record: Record, projects: tuple[str, ...], /
        ) -> Passed | None:
            """Judge a fetch of a record that is known to be for these projects."""
            ...

        async def asked(
            self,
            request: Request,
            record: Record,
            projects: tuple[str, ...],
            gets: Callable[[Terms], str],
            /,
        ) -> Passed:
            """Have a person asked."""
            ...


class Fetch:
    """Answers the fetches of one agent.

    `knowing` says for which projects one is, `gate` whether it may have what it asks for.
    """

    def __init__(
        self,
        vaults: Vaults,
        opening: Opening,
        adopted: AdoptedSecrets,
        children: Children,
        knowing: Knows,
        gate: Judges,
    ) -> None:
        self._vaults = vaults
        self._opening = opening
        self._adopted = adopted
        self._children = children
        self._knowing = knowing
        self._gate = gate

    def now(self, request: Request) -> Answer | None:
        """Answer at once from the open vaults; None if that has to wait for something."""
        asked, provider = wish(request), request.text("provider")
        known = NOTHING if asked.settled else self._knowing.at_once(request)
        if known is None or self._opening.settling(provider):
            return None
        found = self._find(request)
        if found is None:
            if self._opening.can_open(provider):
                return None
            raise self._miss(request)
        if found.record.adopted is not None:
            return None
        passed = self._gate.at_once(request, found.record, asked.projects or known.projects)
        if passed is None:
            return None
        return self._handed_out(request, asked, known, passed, found, found.sealed())

    async def later(self, request: Request, _body: memoryview) -> Answer:
        """Answer once disk, keyring and person were asked, and vaults that need nobody are open."""
        asked = wish(request)
        known = NOTHING if asked.settled else await self._knowing.found(request)
        found, passed = await self._let_through(
            request, asked.projects or known.projects, partial(self._gets, asked)
        )
        return self._handed_out(request, asked, known, passed, found, await self.secret(found))

    async def granted(self, request: Request, projects: tuple[str, ...], gets: Gets) -> Found:
        """Return what answers, once the policy and, where it says so, a person let it go."""
        found, _passed = await self._let_through(request, projects, gets)
        return found

    async def describe(self, request: Request, _body: memoryview) -> Answer:
        """Say what is visible of a credential, and nothing that could be used."""
        found = await self._looked_up(request)
        token = self._children.seen(await self.secret(found))
        return done(request.number, None, **full(found, token, self._gate.file))

    def _find(self, request: Request) -> Found | None:
        return self._vaults.find(
            places(request), request.text("username"), request.text("provider")
        )

    def _miss(self, request: Request) -> Failure:
        service = request.text("service")
        if service is not None:
            require_canonical(service)  # looked at here alone: every hit is one
        return self._vaults.miss(named(request), request.text("provider"))

    async def _looked_up(self, request: Request) -> Found:
        """Open what needs nobody and look again."""
        provider = request.text("provider")
        if self._opening.can_open(provider):
            await self._opening.open_unattended(provider, lambda: self._find(request))
        found = self._find(request)
        if found is None:
            raise self._miss(request)
        return found

    async def _let_through(
        self, request: Request, projects: tuple[str, ...], gets: Gets
    ) -> tuple[Found, Passed]:
        found = await self._looked_up(request)
        passed = self._gate.at_once(request, found.record, projects)
        if passed is not None:
            return found, passed
        passed = await self._gate.asked(
            request, found.record, projects, lambda terms: gets(found, terms)
        )
        again = await self._looked_up(request)
        if again.record.key != found.record.key:
            raise Failure("busy", "Another credential answers now.", "try again")
        return again, passed

    async def secret(self, found: Found) -> Sealed:
        """Return what was found, read where it is kept."""
        if found.record.adopted is None:
            return found.sealed()
        return await self._adopted.secret(found.record)

    def _gets(self, asked: Wish, found: Found, terms: Terms) -> str:
        """Say what would be handed out under such terms."""
        narrows = False
        if asked.narrows(terms, found.record) and found.record.adopted is None:
            token = self._children.seen(found.sealed())
            narrows = token is not None and token.narrows
        if narrows:
            return f"a token that ends within {spelled(asked.seconds(terms))}"
        return "the credential itself"

    def _handed_out(
        self,
        request: Request,
        asked: Wish,
        known: Evidence,
        passed: Passed,
        found: Found,
        secret: Sealed,
    ) -> Answer:
        """Answer with a child of a secret, or with the secret itself. Raises Failure."""
        record, now = found.record, self._vaults.clock.wall()
        made = narrowed(self._children, secret, record, asked, passed.terms, now, known.projects)
        found.vault.use(record, now)
        values: dict[str, Value] = {
            "service": record.service,
            "username": record.username,
            "provider": found.vault.provider,
            "created": record.created,
            "expires": None if record.expires is None else record.expires.wall_end,
            "narrowed": made is not None,
            "projects": None,
            "evidence": None,
            "rule": passed.rule,
            "consent": passed.consent,
        }
        if made is None:
            return done(request.number, secret, **values)
        child = made.child
        values["expires"] = made.expires
        values["projects"] = None if child.projects is None else [*child.projects]
        if child.limited:
            values["evidence"] = "asked" if asked.projects else known.word
        return done(request.number, made.secret, **values)
