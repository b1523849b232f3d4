"""`fetch` hands out a credential; `describe` says what is known of it.

If an open vault has the credential, the answer is made in the callback that read the request. A
fetch is a coroutine if it has to wait: for a vault that opens without the user, for the keyring of
an adopted credential, for the command of a recipe, for a look at the files of an upload, or for an
approval. Both requests find
the same entry; the policy judges only `fetch`.

The policy and the prompt judge what would be handed out: the secret is read before. If another
credential answers afterwards, nothing is handed out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tokenward_agent.peer.evidence import NOTHING, Evidence
from tokenward_agent.prompt.question import duration_text
from tokenward_agent.requests.attenuation import (
    ANY,
    Delivery,
    RelayDelivery,
    read_entry,
    read_projects,
    read_restriction,
)
from tokenward_agent.requests.grants import Grant, replaced_error
from tokenward_agent.requests.naming import (
    lookup_target,
    require_canonical,
    service_of,
    session_bus,
)
from tokenward_agent.requests.overview import describe_entry
from tokenward_agent.store.lookup import Ambiguous, choose_stored
from tokenward_agent.wire.answer import Answer, success_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenward_agent.clock import Clock
    from tokenward_agent.failure import Failure, SecretSource
    from tokenward_agent.policy.file import PolicyFile
    from tokenward_agent.requests.attenuation import Restriction
    from tokenward_agent.requests.authorization import Authorization
    from tokenward_agent.store.derived_tokens import Derived, DerivedTokens
    from tokenward_agent.store.lookup import Entry, StoredRecord
    from tokenward_agent.store.made_secrets import Made
    from tokenward_agent.store.other_agents import OtherAgents
    from tokenward_agent.vault.record import Login, Record
    from tokenward_agent.wire.request import Request
    from tokenward_protocol.packing import Value

    MakeDelivery = Callable[[Record, SecretSource], Delivery]
    DescribeGrant = Callable[[Grant], list[str]]
    MakeRunDelivery = Callable[
        [DerivedTokens, Record, SecretSource, Restriction, tuple[str, ...]], Delivery
    ]

    # The agent's own socket, shared sockets and runs have different implementations of these.
    class _Vaults(Protocol):
        @property
        def clock(self) -> Clock: ...
        def account(
            self,
            places: Iterable[str],
            user: str | None,
            provider: str | None,
            beside: Iterable[str] = (),
            /,
        ) -> list[StoredRecord]: ...
        def entry(self, found: StoredRecord, /) -> Entry: ...
        def not_found_error(
            self, service: str | None, provider: str | None, origins: Iterable[str] = (), /
        ) -> Failure: ...

    class _Detector(Protocol):
        def try_detect(self, request: Request, /) -> Evidence | None: ...
        async def detect(self, request: Request, /) -> Evidence: ...

    class _Opening(Protocol):
        other_agents: OtherAgents

        def is_settling(self, provider: str | None, /) -> bool: ...
        def can_open(self, provider: str | None, bus: str, /) -> bool: ...
        async def open_unattended(
            self, provider: str | None, enough: Callable[[], object], bus: str, /
        ) -> None: ...

    class _Made(Protocol):
        def ready(self, record: Record, peer: object = None, /) -> Made | None: ...
        def peek(self, record: Record, /) -> Made | None: ...
        def details(self, record: Record, /) -> dict[str, Value]: ...
        def renew_if_due(self, record: Record, /) -> None: ...
        async def read(self, record: Record, peer: object = None, /, *, attended: bool) -> Made: ...

    class _Authorizer(Protocol):
        file: PolicyFile

        def refuse_denied(self, request: Request, record: Record, /) -> None: ...
        def try_authorize(
            self, request: Request, delivery: Delivery, /
        ) -> Authorization | None: ...
        async def authorize(
            self, request: Request, delivery: Delivery, describe_grant: DescribeGrant, /
        ) -> Authorization: ...


class Fetch:
    """Answers the fetches of one agent.

    `detector` finds the projects that a fetch is for; `authorizer` decides whether it is allowed.
    If `only` is given, no other login answers.
    """

    def __init__(
        self,
        vaults: _Vaults,
        opening: _Opening,
        made: _Made,
        derived_tokens: DerivedTokens,
        detector: _Detector,
        authorizer: _Authorizer,
        only: Login | None = None,
    ) -> None:
        self._vaults, self._opening = vaults, opening
        self._made = made
        self._derived_tokens, self._detector = derived_tokens, detector
        self._authorizer = authorizer
        self._only = only

    def try_fetch(self, request: Request) -> Answer | None:
        """Answer at once from the open vaults; return None if the fetch has to wait."""
        restriction, provider = read_restriction(request), request.text("provider")
        known = NOTHING if restriction.needs_no_evidence else self._detector.try_detect(request)
        if known is None or self._opening.is_settling(provider):
            return None
        found = self._find(request, restriction.projects or known.projects)
        if found is None:
            if self._opening.can_open(provider, session_bus(request)):
                return None
            raise self._not_found_error(request)
        secret: SecretSource = found.secret()
        if found.record.adopted is not None:
            made = self._made.ready(found.record, request.peer)
            if made is None:
                return None
            found, secret = _with_end(found, made), made.secret
        delivery = Delivery(self._derived_tokens, found.record, secret, restriction, known.projects)
        authorization = self._authorizer.try_authorize(request, delivery)
        if authorization is None:
            return None
        return self._hand_out(request, known, authorization, found, delivery)

    async def fetch(self, request: Request, _body: memoryview) -> Answer:
        """Answer after waiting for disk, keyring, prompt, and vaults that open without the user."""
        restriction = read_restriction(request)
        known = NOTHING if restriction.needs_no_evidence else await self._detector.detect(request)

        def make(record: Record, secret: SecretSource) -> Delivery:
            return Delivery(self._derived_tokens, record, secret, restriction, known.projects)

        projects = restriction.projects or known.projects
        found, delivery, authorization = await self.authorize(
            request, make, _describe_grant, projects, request.peer
        )
        return self._hand_out(request, known, authorization, found, delivery)

    async def fetch_for_run(
        self,
        request: Request,
        projects: tuple[str, ...],
        describe_grant: DescribeGrant,
        make_delivery: MakeRunDelivery,
        decided: Callable[[Record], Authorization | None] = lambda _record: None,
    ) -> tuple[Answer, Record, Authorization]:
        """Answer a question of a run's relay, for these projects, and tell why. Raises Failure.

        `decided` returns the decision on a record that was made before and still holds.
        """
        restriction = read_restriction(request)

        def make(record: Record, secret: SecretSource) -> Delivery:
            return make_delivery(self._derived_tokens, record, secret, restriction, projects)

        found, secret = await self._find_with_secret(request, projects)
        authorization = decided(found.record)
        if authorization is not None:
            delivery = make(found.record, secret)
        else:
            found, delivery, authorization = await self.authorize(
                request, make, describe_grant, projects
            )
        answer = self._hand_out(request, Evidence(projects, "form"), authorization, found, delivery)
        return answer, found.record, authorization

    async def authorize_relay(
        self,
        request: Request,
        projects: tuple[str, ...],
        bounds: tuple[object, ...],
        describe_grant: DescribeGrant,
    ) -> tuple[StoredRecord, Delivery, Authorization]:
        """Return what relays may have for these projects, once allowed. Raises Failure."""
        restriction = read_restriction(request)

        def make(record: Record, secret: SecretSource) -> Delivery:
            return RelayDelivery(
                self._derived_tokens, record, secret, restriction, projects, bounds
            )

        return await self.authorize(request, make, describe_grant, projects)

    async def name_entry(self, request: Request, projects: tuple[str, ...]) -> str | None:
        """Return the name of the entry that a run for these projects reads with. Raises Failure.

        None if its account has one alone. If none is for all of the projects, it is that of the
        first.
        """
        try:
            found = await self.find(request, projects)
        except Ambiguous:
            if len(projects) < 2:
                raise
            found = await self.find(request, projects[:1])
        if len(self._account(request)) < 2:
            return None
        return " ".join(self._vaults.entry(found).limits or ())

    async def authorize(
        self,
        request: Request,
        make_delivery: MakeDelivery,
        describe_grant: DescribeGrant,
        projects: tuple[str, ...],
        peer: object = None,
    ) -> tuple[StoredRecord, Delivery, Authorization]:
        """Return what may be handed out, once the policy and, if it says so, the user allow it.

        `peer` is who could run a command itself, None if what it makes is for others, too. Nothing is
        awaited between that decision and the return. Raises Failure.
        """
        found, secret = await self._find_with_secret(request, projects, peer)
        delivery = make_delivery(found.record, secret)
        authorization = self._authorizer.try_authorize(request, delivery)
        if authorization is not None:
            return found, delivery, authorization
        authorization = await self._authorizer.authorize(request, delivery, describe_grant)
        if self._opening.other_agents.check():
            await self._opening.other_agents.catch_up()
        found, secret = await self._find_with_secret(request, projects, peer)
        again = make_delivery(found.record, secret)
        if authorization.grant is not None:
            authorization.grant.require_covers(again.grant_under(authorization.terms))
        return found, again, authorization

    async def describe(self, request: Request, _body: memoryview) -> Answer:
        """Return what is known of a credential; nothing in the answer can be used as one."""
        found = await self.find(request, read_projects(request))
        token = None
        if found.record.adopted is None:
            token = self._derived_tokens.read_token(found.secret())
        elif made := self._made.peek(found.record):  # a description runs nothing
            found, token = _with_end(found, made), self._derived_tokens.read_token(made.secret)
        said = describe_entry(found, token, self._authorizer.file)
        return success_answer(request.number, None, **said, **self._made.details(found.record))

    def _account(self, request: Request) -> list[StoredRecord]:
        places, beside, _ = lookup_target(request)
        user, provider = request.text("username"), request.text("provider")
        return self._vaults.account(places, user, provider, beside)

    def _find(self, request: Request, projects: tuple[str, ...] | None) -> StoredRecord | None:
        found = self._choose(request, self._account(request), projects)
        service = request.text("service")
        if found and service is not None and not service.startswith(found.record.service):
            require_canonical(service)  # entries above this URL answer its canonical spelling only
        return found

    def _choose(
        self, request: Request, account: list[StoredRecord], projects: tuple[str, ...] | None
    ) -> StoredRecord | None:
        """Return the entry of an account that answers. Raises Ambiguous."""
        if self._only is not None:
            return next((each for each in account if each.record.login == self._only), None)
        named = read_entry(request)
        if named is not ANY:
            entries = map(self._vaults.entry, account)
            return next((each.found for each in entries if each.limits == named), None)
        if projects is None:
            return account[0] if account else None
        return choose_stored(account, self._vaults.entry, projects)

    def _not_found_error(self, request: Request) -> Failure:
        service = request.text("service")
        if service is not None:
            require_canonical(service)  # every hit is canonical, so only a miss needs the check
        return self._vaults.not_found_error(
            service_of(request), request.text("provider"), lookup_target(request).origins
        )

    async def find(self, request: Request, projects: tuple[str, ...] | None = ()) -> StoredRecord:
        """Return the entry that answers for projects. Raises Failure.

        Vaults that open without the user are opened first. With None it is any entry of its
        account, for what uses no projects.
        """
        provider = request.text("provider")
        if self._opening.can_open(provider, session_bus(request)):
            await self._opening.open_unattended(
                provider, lambda: self._find(request, projects), session_bus(request)
            )
        found = self._find(request, projects)
        if found is None:
            raise self._not_found_error(request)
        return found

    async def _find_with_secret(
        self, request: Request, projects: tuple[str, ...], peer: object = None
    ) -> tuple[StoredRecord, SecretSource]:
        """Return the entry and its secret, read from its keyring or made by its command.

        Neither is done if the policy denies the record whatever would be handed out.
        """
        found = await self.find(request, projects)
        if found.record.adopted is None:
            return found, found.secret()
        self._authorizer.refuse_denied(request, found.record)
        made = await self._made.read(found.record, peer, attended=request.flag("attended"))
        again = self._find(request, projects)
        if again is None or again.record.login != found.record.login:
            raise replaced_error()
        return _with_end(again, made), made.secret

    def _hand_out(
        self,
        request: Request,
        known: Evidence,
        authorization: Authorization,
        found: StoredRecord,
        delivery: Delivery,
    ) -> Answer:
        """Answer with an attenuated token, or with the secret itself. Raises Failure.

        A secret leaves the agent only here, and only in the form that forms.py allows and as it was
        granted.
        """
        record, now = found.record, self._vaults.clock.wall()
        form, derived = delivery.derive(authorization.terms, now)
        if granted := authorization.grant:
            granted.require_covers(_outgoing_grant(granted, record, form, derived, now))
        found.vault.use(record, now)
        self._made.renew_if_due(record)
        values: dict[str, Value] = {
            "service": record.service,
            "username": record.username,
            "provider": found.vault.provider,
            "created": record.created,
            "expires": None if record.expires is None else record.expires.wall_end,
            "narrowed": derived is not None,
            "projects": None,
            "evidence": None,
            "rule": authorization.rule,
            "consent": authorization.consent,
        }
        if derived is None:
            return success_answer(request.number, delivery.secret, **values)
        derivation = derived.derivation
        values["expires"] = derived.expires
        values["projects"] = None if derivation.projects is None else [*derivation.projects]
        if derivation.limited:
            values["evidence"] = known.word or "asked"
        return success_answer(request.number, derived.secret, **values)


def _with_end(found: StoredRecord, made: Made) -> StoredRecord:
    """Return an entry with the end of what its command made or its keyring had."""
    ends = [each for each in (made.end, found.record.expires) if each is not None]
    first = min(ends, key=lambda each: each.wall_end, default=None)
    return found._replace(record=found.record._replace(expires=first))


def _outgoing_grant(
    granted: Grant, record: Record, form: str, derived: Derived | None, now: int
) -> Grant:
    """Describe what is about to be handed out; a stored token is as wide as when it was granted."""
    if derived is None:
        return Grant(record.login, form, granted.projects, None)
    return Grant(record.login, form, derived.derivation.projects, derived.expires - now)


def _describe_grant(grant: Grant) -> list[str]:
    """Describe to the user what would be handed out."""
    if grant.seconds is None:
        return ["the credential itself"]
    return [f"a token that ends within {duration_text(grant.seconds)}"]
