"""`fetch` hands out a credential; `describe` says what is known of it.

If an open vault has the credential, the answer is made in the callback that read the request. A
fetch is a coroutine if it has to wait: for a vault that opens without the user, for the keyring of
an adopted credential, for a look at the files of an upload, or for an approval. Both requests find
the same entry; the policy judges `fetch` alone.

The policy and the prompt judge what would be handed out: the secret is read before. If another
credential answers afterwards, nothing is handed out.
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

    `knowing` finds the projects that a fetch is for; `gate` decides whether it is allowed.
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
        """Answer at once from the open vaults; return None if the fetch has to wait."""
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
        """Answer after waiting for disk, keyring, prompt, and vaults that open without the user."""
        asked = wish(request)
        known = NOTHING if asked.settled else await self._knowing.found(request)

        def going_of(record: Record, secret: Sealed) -> Going:
            return Going(self._children, record, secret, asked, known.projects)

        found, going, passed = await self.granted(request, going_of, _gets)
        return self._handed_out(request, known, passed, found, going)

    async def granted(
        self, request: Request, going_of: GoingOf, gets: Gets
    ) -> tuple[Found, Going, Passed]:
        """Return what may be handed out, once the policy and, if it says so, the user allow it.

        Nothing is awaited between that decision and the return. Raise Failure.
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
        """Return what is known of a credential; nothing in the answer can be used as one."""
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
            require_canonical(service)  # entries above this URL answer its canonical spelling only
        return found

    def _miss(self, request: Request) -> Failure:
        service = request.text("service")
        if service is not None:
            require_canonical(service)  # every hit is canonical, so only a miss needs the check
        return self._vaults.miss(named(request), request.text("provider"), wanted(request).origins)

    async def _looked_up(self, request: Request) -> Found:
        """Look up the entry, after opening vaults that open without the user."""
        provider = request.text("provider")
        if self._opening.can_open(provider, bus(request)):
            await self._opening.open_unattended(provider, lambda: self._find(request), bus(request))
        found = self._find(request)
        if found is None:
            raise self._miss(request)
        return found

    async def _ready(self, request: Request) -> tuple[Found, Sealed]:
        """Return the entry and its secret, read from its keyring if it is adopted.

        The keyring is not read if the policy denies the record whatever would be handed out.
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
        """Return the secret of an entry, read from its keyring if it is adopted."""
        if found.record.adopted is None:
            return found.sealed()
        return await self._adopted.secret(found.record)

    def _handed_out(
        self, request: Request, known: Evidence, passed: Passed, found: Found, going: Going
    ) -> Answer:
        """Answer with a child of the secret, or with the secret itself. Raise Failure.

        A secret leaves the agent only here, and only as it was granted.
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
    """Describe what is about to be handed out; a stored token is as wide as when it was granted."""
    if made is None:
        return Grant(record.login, True, granted.projects, None)
    return Grant(record.login, False, made.child.projects, made.expires - now)


def _gets(grant: Grant) -> list[str]:
    """Describe to the user what would be handed out."""
    if grant.seconds is None:
        return ["the credential itself"]
    return [f"a token that ends within {spelled(grant.seconds)}"]
