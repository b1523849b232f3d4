"""What a shared socket answers: fetches of one credential, and nothing else.

Who is at its other end is in a container, on another host or another user. So what they say about
themselves counts for nothing here: no evidence of theirs widens or narrows anything, nobody is
asked on their screen, and of their request only what makes the answer smaller is taken. Whether the
credential may be shared at all was judged when it was, by the policy and perhaps a person; a rule
that denies it since, or a policy that cannot be read, ends it.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from tokenward_agent.asking.evidence import NOTHING
from tokenward_agent.failure import Failure
from tokenward_agent.policy.deciding import decide
from tokenward_agent.policy.rule import DENY
from tokenward_agent.requests.gate import Passed
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
    from tokenward_agent.policy.deciding import Subject
    from tokenward_agent.policy.file import PolicyFile
    from tokenward_agent.requests.fetch import Fetch
    from tokenward_agent.vault.record import Key, Record
    from tokenward_agent.wire.answer import Answer


class Share(NamedTuple):
    """What is shared: `key` names the credential, `scope` the service that it is shared for.

    `projects` (normalised) limit it, () does not; `whole` hands out what is stored, as it is. `end`
    is by the clock that counts sleep, None for as long as the agent lives. `subject` is who shared
    it, as the policy saw them.
    """

    path: str
    key: Key
    scope: str
    projects: tuple[str, ...]
    whole: bool
    end: int | None
    subject: Subject

    def within(self, request: Request, now: int) -> Request:
        """Return the fetch that is made of a request. Raises Failure."""
        if self.scope not in places(request):
            raise self.nothing()
        if request.text("username") not in {None, self.key[1]}:
            raise self.nothing()
        left = None if self.end is None else self.end - now
        if left is not None and left <= 0:
            raise Failure("refused", "What was shared here has ended.", "`auth share` on its host")
        arguments: dict[str, str | int | bool]
        arguments = {"service": self.key[0], "username": self.key[1]}
        if self.whole:
            arguments["whole"] = True
        else:
            arguments |= self._narrower(request, left)
        made = Request("fetch", request.number, "", arguments)
        made.peer = request.peer
        return made

    def _narrower(self, request: Request, left: int | None) -> dict[str, str | int | bool]:
        """Return what makes a child of it that is no wider than the share, nor than asked for."""
        asked = wish(request)
        ttl = asked.ttl or DEFAULT_TTL
        projects = asked.projects or self.projects
        if self.projects and not set(projects) <= set(self.projects):
            raise Failure("refused", f"It is shared for {', '.join(self.projects)} alone.")
        found: dict[str, str | int | bool]
        found = {"ttl": ttl if left is None else max(min(ttl, left), LEAST_TTL)}
        return found | ({"projects": " ".join(projects)} if projects else {})

    def nothing(self) -> Failure:
        """Return what is said of everything that is not shared."""
        return Failure(
            "not-found", f"This socket has what {display(self.scope)} needs and nothing else."
        )


class Unknowing:
    """Knows nothing of what a fetch is for: a process elsewhere is about files elsewhere."""

    def at_once(self, _request: Request) -> Evidence:
        """Return nothing."""
        return NOTHING

    async def found(self, _request: Request) -> Evidence:
        """Return nothing."""
        return NOTHING


class SharedGate:
    """Lets through what was let through when it was shared, unless a rule denies it by now."""

    def __init__(self, file: PolicyFile, clock: Clock, share: Share) -> None:
        self.file = file
        self._clock = clock
        self._share = share

    def at_once(self, _request: Request, record: Record, _projects: tuple[str, ...]) -> Passed:
        """Say what lets it through. Raises Failure."""
        if record.key != self._share.key:  # where that is gone, one for something above answers
            raise self._share.nothing()
        self.file.look(self._clock.wall())
        decision = decide(self.file.policy.rules, self._share.subject)
        line = None if decision.rule is None else decision.rule.line
        if decision.word == DENY or self.file.problem:
            raise Failure("refused", "The policy denies what is shared here.", rule=line)
        return Passed(line, None, decision.terms)

    async def asked(
        self, _request: Request, _record: Record, _projects: tuple[str, ...], _gets: object
    ) -> NoReturn:
        """Never called: nobody is asked for a stranger."""
        raise AssertionError("a shared socket asks nobody")


class SharedFetch:
    """Answers the fetches of one share, by `fetch`, which has the two above."""

    def __init__(self, share: Share, fetch: Fetch, clock: Clock) -> None:
        self._share = share
        self._fetch = fetch
        self._clock = clock

    def now(self, request: Request) -> Answer | None:
        """Answer at once, None if that has to wait for something. Raises Failure."""
        return self._fetch.now(self._share.within(request, self._clock.boot()))

    async def later(self, request: Request, body: memoryview) -> Answer:
        """Answer once that can be. Raises Failure."""
        return await self._fetch.later(self._share.within(request, self._clock.boot()), body)


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
