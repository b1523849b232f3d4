"""What a shared socket answers: fetches of one credential, and nothing else.

Who is at its other end is in a container, on another host or another user. So what they say about
themselves counts for nothing here: no evidence of theirs widens or narrows anything, nobody is
asked on their screen, no vault is opened for them, and of their request only what makes the answer
smaller is taken. What goes out is held against what was granted when it was shared: that very login,
in that form, no longer and no wider.

Whether the credential may be shared at all was judged then, by the policy and perhaps a person. Each
fetch is judged by the policy as it is by now, and counts for a rule's rate: a rule that denies it
since, one that wants a person asked who has not agreed, or a policy that cannot be read lets nothing
through.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from tokenward_agent.asking.evidence import NOTHING
from tokenward_agent.failure import Failure
from tokenward_agent.policy.deciding import decide
from tokenward_agent.policy.rule import ASK, DENY
from tokenward_agent.requests.gate import Passed
from tokenward_agent.requests.grants import judged
from tokenward_agent.requests.naming import places
from tokenward_agent.requests.narrowing import wish
from tokenward_agent.wire.answer import done
from tokenward_agent.wire.request import Request
from tokenward_protocol import VERSION, WIRE_VERSION
from tokenward_protocol.index_tokens import DEFAULT_TTL, LEAST_TTL
from tokenward_protocol.messages import OPS
from tokenward_protocol.urls import display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import NoReturn

    from tokenward_agent.asking.evidence import Evidence
    from tokenward_agent.clock import Clock
    from tokenward_agent.policy.deciding import Decision, Subject
    from tokenward_agent.requests.fetch import Fetch
    from tokenward_agent.requests.gate import Gate
    from tokenward_agent.requests.grants import Grant
    from tokenward_agent.requests.narrowing import Going
    from tokenward_agent.store.elsewhere import Elsewhere
    from tokenward_agent.vault.record import Record
    from tokenward_agent.wire.answer import Answer


class Share(NamedTuple):
    """What is shared: the `grant`, and the service that it is shared for, its `scope`.

    `projects` (normalised) were named, () for none. `holder` is what holds the credential: a vault's
    provider, or memory. `end` is by the clock that counts sleep, None for as long as the agent lives.
    `subject` is who shared it, as the policy saw them; `agreed` which policy that was if a person
    agreed to it, else None.
    """

    path: str
    grant: Grant
    scope: str
    projects: tuple[str, ...]
    holder: str
    end: int | None
    subject: Subject
    agreed: int | None

    def within(self, request: Request, now: int) -> Request:
        """Return the fetch that is made of a request. Raises Failure."""
        login = self.grant.login
        if self.scope not in places(request):
            raise self.nothing()
        if request.text("username") not in {None, login.username}:
            raise self.nothing()
        bound = self.left(now)
        arguments: dict[str, str | int | bool]
        arguments = {"service": login.service, "username": login.username}
        if bound.seconds is None:
            arguments["whole"] = True
        else:
            arguments |= self._narrower(request, bound.seconds)
        made = Request("fetch", request.number, "", arguments)
        made.peer = request.peer
        return made

    def left(self, now: int) -> Grant:
        """Return what may still go out: a child lives no longer than the share. Raises Failure."""
        left = None if self.end is None else self.end - now
        if left is not None and left <= 0:
            raise over()
        seconds = self.grant.seconds
        if seconds is not None and left is not None:
            seconds = min(seconds, left)
        return self.grant._replace(seconds=seconds)

    def _narrower(self, request: Request, most: int) -> dict[str, str | int | bool]:
        """Return what makes a child of it that is no wider than the share, nor than asked for."""
        asked = wish(request)
        projects = asked.projects or self.projects
        if self.projects and not set(projects) <= set(self.projects):
            raise Failure("refused", f"It is shared for {', '.join(self.projects)} alone.")
        ttl = max(min(asked.ttl or DEFAULT_TTL, most), LEAST_TTL)  # `left` has the last word
        found: dict[str, str | int | bool] = {"ttl": ttl}
        return found | ({"projects": " ".join(projects)} if projects else {})

    def nothing(self) -> Failure:
        """Return what is said of everything that is not shared."""
        return Failure(
            "not-found", f"This socket has what {display(self.scope)} needs and nothing else."
        )


def over() -> Failure:
    """Return what is said where something was shared."""
    return Failure("refused", "What was shared here has ended.", "`auth share` on its host")


class Unknowing:
    """Knows nothing of what a fetch is for: a process elsewhere is about files elsewhere."""

    def at_once(self, _request: Request) -> Evidence:
        """Return nothing."""
        return NOTHING

    async def found(self, _request: Request) -> Evidence:
        """Return nothing."""
        return NOTHING


class Unopening:
    """Opens no vault: who asks at a shared socket ends no lock."""

    def __init__(self, elsewhere: Elsewhere) -> None:
        self.elsewhere = elsewhere

    def settling(self, _provider: str | None = None) -> bool:
        """Wait for none."""
        return False

    def can_open(self, _provider: str | None = None, _bus: str = "") -> bool:
        """Open none."""
        return False

    async def open_unattended(
        self,
        _provider: str | None = None,
        _enough: Callable[[], object] = lambda: False,
        _bus: str = "",
    ) -> NoReturn:
        """Never called."""
        raise AssertionError("a shared socket opens nothing")


class SharedGate:
    """Lets through what was let through when it was shared, unless the policy has it otherwise now."""

    def __init__(self, gate: Gate, clock: Clock, share: Share) -> None:
        self.file = gate.file
        self._gate = gate
        self._clock = clock
        self._share = share

    def denies(self, _request: Request, record: Record) -> None:
        """Raise Failure where nothing of a record is handed out, whatever would go out."""
        if record.login != self._share.grant.login:  # where that is gone, something above answers
            raise self._share.nothing()
        self._look()
        decision = decide(
            self.file.policy.rules, self._share.subject._replace(projects=frozenset())
        )
        if decision.word == DENY:
            raise self._refused(decision)

    def at_once(self, request: Request, going: Going) -> Passed:
        """Say what lets it through. Raises Failure."""
        self.denies(request, going.record)
        decision, _grant = judged(self.file.policy.rules, self._share.subject, going)
        if decision.word == DENY or (decision.word == ASK and self._share.agreed is None):
            raise self._refused(decision)
        left, terms = self._share.left(self._clock.boot()), decision.terms
        if left.seconds is not None:
            terms = terms._replace(ttl=min(terms.ttl or left.seconds, left.seconds))
        going.require_possible(terms, self._clock.wall())
        left.require(going.under(terms))
        if not self._gate.may_use(decision):
            raise Failure(
                "refused", "The policy gives no more for now.", "wait", rule=_line(decision)
            )
        self._gate.use(decision)
        return Passed(_line(decision), None, terms, left)

    async def asked(self, _request: Request, _going: Going, _gets: object) -> NoReturn:
        """Never called: nobody is asked for a stranger."""
        raise AssertionError("a shared socket asks nobody")

    def _look(self) -> None:
        self.file.look(self._clock.wall())
        if self.file.problem:
            raise self._refused(None)

    def _refused(self, decision: Decision | None) -> Failure:
        line = None if decision is None else _line(decision)
        return Failure("refused", "The policy denies what is shared here.", rule=line)


def _line(decision: Decision) -> int | None:
    return None if decision.rule is None else decision.rule.line


class SharedFetch:
    """Answers the fetches of one share, by `fetch`, which has the three above.

    `require` raises Failure where the share is over or its vault closed.
    """

    def __init__(
        self, share: Share, fetch: Fetch, clock: Clock, require: Callable[[Share], None]
    ) -> None:
        self._share = share
        self._fetch = fetch
        self._clock = clock
        self._require = require

    def now(self, request: Request) -> Answer | None:
        """Answer at once, None if that has to wait for something. Raises Failure."""
        within = self._share.within(request, self._clock.boot())
        self._require(self._share)
        return self._fetch.now(within)

    async def later(self, request: Request, body: memoryview) -> Answer:
        """Answer once that can be. Raises Failure."""
        within = self._share.within(request, self._clock.boot())
        self._require(self._share)
        return await self._fetch.later(within, body)


def quick() -> Mapping[str, Callable[[Request], Answer]]:
    """Return what answers all other requests."""
    return {**dict.fromkeys(OPS, _refuse), "hello": _hello}


def _hello(request: Request) -> Answer:
    """Say that somebody is here, and nothing of where they are."""
    return done(
        request.number,
        version=VERSION,
        wire=WIRE_VERSION,
        pid=os.getpid(),
        directory="",
        replaceable=False,
    )


def _refuse(_request: Request) -> NoReturn:
    raise Failure("refused", "This socket hands out one credential and does nothing else.")
