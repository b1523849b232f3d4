"""The answers of a shared socket: fetches of one credential, and nothing else.

The peer is in a container, on another host, or another user. So the agent ignores what it says of
itself: it is no evidence, causes no prompt and opens no vault, and the request can only make the
answer smaller. What is handed out is compared with the grant of the share: the same login, in the
same form, no longer and no wider.

The policy, and the user if it said `ask`, allowed the share when it was made; a declared share
(declared_shares.py) is allowed by the user's file, as long as that declares it. The present policy
judges each fetch again, and the fetch counts for the rule's rate limit. A rule that denies, a rule
that asks if the user has not approved, and a policy that cannot be read let nothing through.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from tokenward_agent.failure import Failure
from tokenward_agent.peer.evidence import NOTHING
from tokenward_agent.policy.deciding import decide
from tokenward_agent.policy.rule import ASK, DENY
from tokenward_agent.requests.attenuation import read_restriction
from tokenward_agent.requests.authorization import Authorization
from tokenward_agent.requests.forms import RELAY
from tokenward_agent.requests.grants import decide_delivery
from tokenward_agent.requests.naming import candidate_services
from tokenward_agent.store.adopted import is_adopted
from tokenward_agent.wire.answer import success_answer
from tokenward_agent.wire.request import Request
from tokenward_protocol import VERSION, WIRE_VERSION
from tokenward_protocol.index_tokens import DEFAULT_TTL, LEAST_TTL
from tokenward_protocol.messages import OPS
from tokenward_protocol.urls import display

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenward_agent.clock import Clock
    from tokenward_agent.peer.evidence import Evidence
    from tokenward_agent.policy.deciding import Decision, PolicyInput
    from tokenward_agent.policy.share_settings import ConfiguredShare
    from tokenward_agent.requests.attenuation import Delivery
    from tokenward_agent.requests.authorization import Authorizer
    from tokenward_agent.requests.dispatch import AsyncHandler, FetchHandler, SyncHandler
    from tokenward_agent.requests.grants import Grant
    from tokenward_agent.store.made_secrets import Made, MadeSecrets
    from tokenward_agent.store.other_agents import OtherAgents
    from tokenward_agent.vault.record import Record
    from tokenward_agent.wire.answer import Answer
    from tokenward_protocol.packing import Value


class Share(NamedTuple):
    """One share: the `grant`, and its `scope`, the service that it is shared for.

    `projects` (normalised) are those that the user named, () for none. `holder` has the credential:
    a vault's provider, or memory. `end` is in seconds of the boot clock, which counts sleep; None
    as long as the agent lives. `policy_input` is the process that shared it, as the policy saw it.
    `agreed` is the number of the policy under which the user approved, None if no approval was
    needed. `declared` is what config.toml says, None for a share that was typed.
    """

    path: str
    grant: Grant
    scope: str
    projects: tuple[str, ...]
    holder: str
    end: int | None
    policy_input: PolicyInput
    agreed: int | None
    declared: ConfiguredShare | None = None

    def restrict(self, request: Request, now: int) -> Request:
        """Return the fetch that the agent makes of a request here. Raises Failure."""
        login = self.grant.login
        if self.scope not in candidate_services(request):
            raise self.not_shared_error()
        if request.text("username") not in {None, login.username}:
            raise self.not_shared_error()
        bound = self.remaining_grant(now)
        arguments: dict[str, str | int | bool]
        arguments = {"service": login.service, "username": login.username}
        if bound.seconds is None:
            arguments["whole"] = True
        else:
            arguments |= self._attenuating_arguments(request, bound.seconds)
        if request.flag("attended"):  # it waits for a command; no prompt comes of it
            arguments["attended"] = True
        made = Request("fetch", request.number, "", arguments)
        made.peer = request.peer
        return made

    def remaining_grant(self, now: int) -> Grant:
        """Return what may still be handed out: no token outlives the share. Raises Failure."""
        left = None if self.end is None else self.end - now
        if left is not None and left <= 0:
            raise share_ended_error()
        seconds = self.grant.seconds
        if seconds is not None and left is not None:
            seconds = min(seconds, left)
        return self.grant._replace(seconds=seconds)

    def _attenuating_arguments(self, request: Request, most: int) -> dict[str, str | int | bool]:
        """Return the arguments for a token within the limits of the share and of the request."""
        restriction = read_restriction(request)
        projects = restriction.projects or self.projects
        if self.projects and not set(projects) <= set(self.projects):
            raise Failure(
                "refused", f"The credential is shared only for {', '.join(self.projects)}."
            )
        ttl = max(
            min(restriction.ttl or DEFAULT_TTL, most), LEAST_TTL
        )  # `remaining_grant` decides in the end
        found: dict[str, str | int | bool] = {"ttl": ttl}
        return found | ({"projects": " ".join(projects)} if projects else {})

    def not_shared_error(self) -> Failure:
        """Return the failure for a request about anything that is not shared."""
        return Failure(
            "not-found", f"This socket hands out only the credential for {display(self.scope)}."
        )


def share_ended_error() -> Failure:
    """Return the failure for a share that has ended."""
    return Failure("refused", "This share has ended.", "`auth share` on its host")


class SharedMade:
    """What recipes make and keyrings have, for a share: what their programs say stays on this host.

    The agent alone runs them: a peer there neither runs a command nor gets what another one made so.
    """

    def __init__(self, made: MadeSecrets) -> None:
        self._made = made
        self.peek, self.details = made.peek, made.details
        self.renew_if_due = made.renew_if_due

    def ready(self, record: Record, _peer: object = None) -> Made | None:
        """Return what may be handed out without a run."""
        return self._made.ready(record)

    async def read(self, record: Record, _peer: object = None, *, attended: bool) -> Made:
        """Return what a recipe makes or a keyring has. Raises Failure."""
        try:
            return await self._made.read(record, attended=attended)
        except Failure as failure:
            if failure.code not in {"command", "provider"}:
                raise
            code = failure.code
        who = "keyring" if is_adopted(record) else "command"
        raise Failure(
            code, f"The {who} of the shared credential failed.", "`auth refresh` on its host"
        )


class NoDetection:
    """Knows no projects: a process elsewhere works on files elsewhere."""

    def try_detect(self, _request: Request) -> Evidence:
        """Return no evidence."""
        return NOTHING

    async def detect(self, _request: Request) -> Evidence:
        """Return no evidence."""
        return NOTHING


class NoOpening:
    """Opens no vault: a peer of a shared socket ends no lock."""

    def __init__(self, other_agents: OtherAgents) -> None:
        self.other_agents = other_agents

    def is_settling(self, _provider: str | None = None) -> bool:
        """Return False: no vault is awaited."""
        return False

    def can_open(self, _provider: str | None = None, _bus: str = "") -> bool:
        """Return False: no vault is opened."""
        return False

    async def open_unattended(
        self,
        _provider: str | None = None,
        _enough: Callable[[], object] = lambda: False,
        _bus: str = "",
    ) -> NoReturn:
        """Never called."""
        raise AssertionError("a shared socket opens nothing")


class ShareAuthorizer:
    """Allows what was allowed when it was shared, unless the policy now decides otherwise."""

    def __init__(self, authorizer: Authorizer, clock: Clock, share: Share) -> None:
        self.file = authorizer.file
        self._authorizer, self._clock, self._share = authorizer, clock, share

    def refuse_denied(self, _request: Request, record: Record) -> None:
        """Raise Failure if nothing of a record is handed out, whatever would be."""
        if record.login != self._share.grant.login:  # a shorter entry may answer after a logout
            raise self._share.not_shared_error()
        self._require_allowed()
        decision = decide(
            self.file.policy.rules, self._share.policy_input._replace(projects=frozenset())
        )
        if decision.word == DENY:
            raise self._refused_error(decision)

    def try_authorize(self, request: Request, delivery: Delivery) -> Authorization:
        """Return why the fetch is allowed. Raises Failure."""
        self.refuse_denied(request, delivery.record)
        decision, _grant = decide_delivery(
            self.file.policy.rules, self._share.policy_input, delivery
        )
        if decision.word == DENY or (decision.word == ASK and self._share.agreed is None):
            raise self._refused_error(decision)
        left, terms = self._share.remaining_grant(self._clock.boot()), decision.terms
        if left.seconds is not None:
            terms = terms._replace(ttl=min(terms.ttl or left.seconds, left.seconds))
        if self._share.declared is not None:
            delivery.instead_of_narrower = "on its host, `whole` of the share can name it"
        delivery.require_possible(terms, self._clock.wall())
        going = delivery.grant_under(terms)
        if delivery.itself == RELAY and self._share.declared is not None:
            left = left._replace(form=going.form)  # a child or the stored one: known only now
        left.require_covers(going)
        if not self._authorizer.may_use(decision):
            raise Failure(
                "refused",
                "The policy's rate limit is used up.",
                "wait until the limit allows it",
                rule=_line_of(decision),
            )
        self._authorizer.use(decision)
        return Authorization(_line_of(decision), None, terms, left)

    async def authorize(
        self, _request: Request, _delivery: Delivery, _describe_grant: object
    ) -> NoReturn:
        """Never called: a peer of a shared socket causes no prompt."""
        raise AssertionError("a shared socket prompts for no approval")

    def _require_allowed(self) -> None:
        self.file.reload(self._clock.wall())
        if self.file.problem:
            raise self._refused_error(None)
        if self._share.declared not in {None, *self.file.policy.shares}:
            raise share_ended_error()

    def _refused_error(self, decision: Decision | None) -> Failure:
        line = None if decision is None else _line_of(decision)
        return Failure("refused", "The policy denies what is shared here.", rule=line)


def _line_of(decision: Decision) -> int | None:
    return None if decision.rule is None else decision.rule.line


def fetch_handlers(
    fetch: FetchHandler,
) -> tuple[Mapping[str, SyncHandler], Mapping[str, AsyncHandler]]:
    """Return the quick and the slow handlers of a socket that answers fetches alone."""
    quick: dict[str, SyncHandler] = dict.fromkeys(OPS, _refuse)
    return {**quick, "hello": greet, "fetch": fetch.try_fetch}, {"fetch": fetch.fetch}


def greet(request: Request, **more: Value) -> Answer:
    """Return version, process and `more`, but nothing about the agent's files."""
    return success_answer(
        request.number,
        None,
        version=VERSION,
        wire=WIRE_VERSION,
        pid=os.getpid(),
        directory="",
        replaceable=False,
        **more,
    )


def _refuse(_request: Request) -> NoReturn:
    raise Failure("refused", "This socket hands out one credential and does nothing else.")
