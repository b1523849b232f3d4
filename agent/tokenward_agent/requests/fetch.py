"""`fetch`: the secret that answers, at once if an open vault has it; and `describe`, what it is.

That is the request that everything else is for. The answer of an open vault is made in the callback
that read the request; one that has to wait, for a vault that needs nobody, for a keyring that keeps
an adopted credential, for a look at what is to be uploaded or for a person who has to agree, is a
coroutine. Both requests find alike; only what hands a secret out is for the policy to judge.

What is judged is what goes out: the secret is there before the policy and a person are asked about it.
Should another one be there afterwards, nothing goes out.
"""

from __future__ import annotations

from tokenward_agent.asking.evidence import NOTHING
from tokenward_agent.consent.question import spelled
from tokenward_agent.requests.grants import Grant, exchanged
from tokenward_agent.requests.naming import named, require_canonical, wanted
from tokenward_agent.requests.narrowing import Going, wish
from tokenward_agent.requests.overview import full
from tokenward_agent.requests.screen import bus
from tokenward_agent.wire.answer import Answer, done

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward_agent.asking.evidence import Evidence
    from tokenward_agent.failure import Failure
    from tokenward_agent.requests.gate import Passed
    from tokenward_agent.requests.roles import Gets, Judges, Knows, Opens
    from tokenward_agent.store.adopted import AdoptedSecrets
    from tokenward_agent.store.children import Children, Made, Sealed
    from tokenward_agent.store.found import Found
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.vault.record import Record
    from tokenward_agent.wire.request import Request
    from tokenward_protocol.packing import Value

    GoingOf = Callable[[Record, Sealed], Going]


class Fetch:
    """Answers the fetches of one agent.

    `knowing` says for which projects one is, `gate` whether it may have what it asks for.
    """

    def __init__(
        self,
        vaults: Vaults,
        opening: Opens,
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
            if self._opening.can_open(provider, bus(request)):
                return None
            raise self._miss(request)
        if found.record.adopted is not None:
            return None
        going = Going(self._children, found.record, found.sealed(), asked, known.projects)
        passed = self._gate.at_once(request, going)
        if passed is None:
            return None
        return self._handed_out(request, known, passed, found, going)

    async def later(self, request: Request, _body: memoryview) -> Answer:
        """Answer once disk, keyring and person were asked, and vaults that need nobody are open."""
        asked = wish(request)
        known = NOTHING if asked.settled else await self._knowing.found(request)

        def going_of(record: Record, secret: Sealed) -> Going:
            return Going(self._children, record, secret, asked, known.projects)

        found, going, passed = await self.granted(request, going_of, _gets)
        return self._handed_out(request, known, passed, found, going)

    async def granted(
        self, request: Request, going_of: GoingOf, gets: Gets
    ) -> tuple[Found, Going, Passed]:
        """Return what would go out, once the policy and, where it says so, a person let it.

        Nothing is waited for between that and the return. Raises Failure.
        """
        found, secret = await self._ready(request)
        going = going_of(found.record, secret)
        passed = self._gate.at_once(request, going)
        if passed is not None:
            return found, going, passed
        passed = await self._gate.asked(request, going, gets)
        if self._opening.elsewhere.look():
            await self._opening.elsewhere.catch_up()
        found, secret = await self._ready(request)
        again = going_of(found.record, secret)
        if passed.grant is not None:
            passed.grant.require(again.under(passed.terms))
        return found, again, passed

    async def describe(self, request: Request, _body: memoryview) -> Answer:
        """Say what is visible of a credential, and nothing that could be used."""
        found = await self._looked_up(request)
        token = self._children.seen(await self.secret(found))
        return done(request.number, None, **full(found, token, self._gate.file))

    def _find(self, request: Request) -> Found | None:
        places, beside, _ = wanted(request)
        user, provider = request.text("username"), request.text("provider")
        found = self._vaults.find(places, user, provider, beside)
        service = request.text("service")
        if (
            found is not None
            and service is not None
            and not service.startswith(found.record.service)
        ):
            require_canonical(service)  # what lies above one is found by no other spelling
        return found

    def _miss(self, request: Request) -> Failure:
        service = request.text("service")
        if service is not None:
            require_canonical(service)  # looked at here alone: every hit is one
        return self._vaults.miss(named(request), request.text("provider"), wanted(request).origins)

    async def _looked_up(self, request: Request) -> Found:
        """Open what needs nobody and look again."""
        provider = request.text("provider")
        if self._opening.can_open(provider, bus(request)):
            await self._opening.open_unattended(provider, lambda: self._find(request), bus(request))
        found = self._find(request)
        if found is None:
            raise self._miss(request)
        return found

    async def _ready(self, request: Request) -> tuple[Found, Sealed]:
        """Return what answers and its secret, read where it is kept.

        No keyring is asked for somebody whom the policy denies whatever is in it.
        """
        found = await self._looked_up(request)
        if found.record.adopted is None:
            return found, found.sealed()
        self._gate.denies(request, found.record)
        secret = await self._adopted.secret(found.record)
        again = self._find(request)
        if again is None or again.record.login != found.record.login:
            raise exchanged()
        return again, secret

    async def secret(self, found: Found) -> Sealed:
        """Return what was found, read where it is kept."""
        if found.record.adopted is None:
            return found.sealed()
        return await self._adopted.secret(found.record)

    def _handed_out(
        self, request: Request, known: Evidence, passed: Passed, found: Found, going: Going
    ) -> Answer:
        """Answer with a child of a secret, or with the secret itself. Raises Failure.

        This is the one place by which a secret leaves, and it leaves as it was granted or not at all.
        """
        record, now = found.record, self._vaults.clock.wall()
        made = going.made(passed.terms, now)
        if passed.grant is not None:
            passed.grant.require(_going_out(passed.grant, record, made, now))
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
            return done(request.number, going.secret, **values)
        child = made.child
        values["expires"] = made.expires
        values["projects"] = None if child.projects is None else [*child.projects]
        if child.limited:
            values["evidence"] = known.word or "asked"
        return done(request.number, made.secret, **values)


def _going_out(granted: Grant, record: Record, made: Made | None, now: int) -> Grant:
    """Describe what is on its way out; what is not narrowed is as wide as it was when it was seen."""
    if made is None:
        return Grant(record.login, True, granted.projects, None)
    return Grant(record.login, False, made.child.projects, made.expires - now)


def _gets(grant: Grant) -> list[str]:
    """Say to a person what would be handed out."""
    if grant.seconds is None:
        return ["the credential itself"]
    return [f"a token that ends within {spelled(grant.seconds)}"]
