"""Grants driven at random beside a model: nothing goes out that was not granted, longer or wider.

Shares, remembered answers, questions that are open, logins, locks, policies and the clock in any order.
The model knows who said what of which login, and holds everything that comes out of any socket against
that: each token says of itself which login it is of, when it ends and for which projects it is. A
share that nothing has ended has to answer, so that to refuse everything is no way through.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from support.agents.in_process import Engine
from support.agents.served import PYPI, fetched, served, there
from support.macaroons import caveats_of, raw_of, token_of
from tokenward_agent.peer.peer import Peer
from tokenward_agent.wire.answer import Answer
from tokenward_agent.wire.request import Request
from tokenward_protocol.index_tokens import DEFAULT_TTL

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a peer is read in /proc")

KINDS = st.sampled_from(["wide", "limited", "password"])
PROJECTS = st.sampled_from(["", "one", "two", "one two", "three"])
TTLS = st.sampled_from([None, 60, 600, 3600, 86400, 3_000_000_000])
POLICIES = {
    "none": "",
    "asks": '[[policy]]\ndecide = "ask"\nremember = "8h"\n',
    "short": '[[policy]]\ndecide = "allow"\nttl = "10m"\n',
    "as it is": '[[policy]]\ndecide = "allow"\nnarrow = false\n',
    "no two": '[[policy]]\nproject = "two"\ndecide = "deny"\n',
}
UNITS = {"day": 86400, "hour": 3600, "minute": 60, "second": 1}


@dataclass
class Shared:
    login: int
    whole: bool
    projects: str
    end: int | None
    agreed: bool


@dataclass
class Yes:
    login: int
    whole: bool
    seconds: int
    projects: str


@dataclass
class Out:
    """What came out: of which login, None for what is not narrowed."""

    login: int
    seconds: int | None
    projects: set[str] | None


class Machine(RuleBasedStateMachine):
    """An agent and its model."""

    @initialize(policy=st.sampled_from(["none", "asks"]), kind=KINDS)
    def begin(self, policy: str, kind: str) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="tw")
        self.runner = asyncio.Runner()
        self.pair = socket.socketpair()
        self.peer = Peer(self.pair[0])
        self.engine = self.run(self.made())
        self.count, self.current = 0, 0
        self.policy, self.says, self.exchange = "none", "yes", ""
        self.shares: dict[str, Shared] = {}
        self.yeses: list[Yes] = []
        self.asked_for: dict[str, Any] = {}
        self.login(kind)
        self.another_policy(policy)
        self.share(whole=kind == "password", projects="", lifetime=None)

    async def made(self) -> Engine:
        engine = Engine(Path(self.folder.name))
        await engine.make("disabled")
        self.server = served(engine)
        engine.authorizer._prompter.ask = self.answer  # type: ignore[method-assign, assignment]  # nobody sits here
        return engine

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.engine.share_requests.close()
            self.run(self.server.close())
            self.runner.close()
            self.folder.cleanup()
            for end in self.pair:
                end.close()

    async def answer(self, lines: list[str], *_: Any) -> str:
        """Answer for a person, who may take so long that something happens meanwhile."""
        (gets,) = [line for line in lines if line.startswith("It gets ")]
        login, self.asked_now = self.current, True
        if self.exchange:
            kind, self.exchange = self.exchange, ""
            await self.stored(kind)
        if self.says == "yes" and "socket" not in gets:
            number, unit = gets.removesuffix(".").split()[-2:] if "within" in gets else ("0", "day")
            seconds = UNITS[unit.rstrip("s")] * (1 if number == "one" else int(number))
            yes = Yes(login, "itself" in gets, seconds, self.asked_for.get("projects", ""))
            self.yeses.append(yes)
        return self.says

    async def ask(self, op: str, **arguments: Any) -> tuple[dict[str, Any], bytes]:
        given = {"service": PYPI, "attended": True, "display": ":7"} | arguments
        self.asked_for = {key: value for key, value in given.items() if value is not None}
        request = Request(op, 1, "", self.asked_for)
        request.peer = self.peer
        found = self.engine.dispatch(request, memoryview(b""))
        answer = found if isinstance(found, Answer) else await found
        if answer.secret is None:
            return answer.values, b""
        body = bytearray(answer.secret.size)
        answer.secret.open_into(memoryview(body))
        return answer.values, bytes(body)

    def out(self, body: bytes) -> Out:
        """Read what came out."""
        text = body.decode()
        if not text.startswith("pypi-"):
            return Out(int(text.rpartition(" ")[2]), None, None)
        said = [json.loads(caveat) for caveat in caveats_of(text) or ()]
        ends = [end for tag, end, *_ in said if tag == 0]
        names = [set(names) for tag, names, *_ in said if tag == 1]
        login = int(raw_of(text).partition(b"login ")[2][:4])
        seconds = min(ends) - self.engine.clock.wall() if ends else None
        return Out(login, seconds, set.intersection(*names) if names else None)

    async def stored(self, kind: str) -> None:
        self.count += 1
        name = f"login {self.count:04}"
        limit = ['[1,["one","two"]]'] if kind == "limited" else []
        secret = name if kind == "password" else token_of("pypi.org", name, *limit)
        await self.engine.ask(
            "logout", service=PYPI
        )  # else a token for other projects stands beside
        await self.engine.login(PYPI, secret.encode(), username="__token__")
        self.current, self.kind = self.count, kind
        self.shares.clear()

    # What happens.

    @rule(kind=KINDS)
    def login(self, kind: str) -> None:
        if self.engine.disabled.state == "open":
            self.run(self.stored(kind))

    @rule(kind=KINDS)
    def login_while_somebody_is_asked_next(self, kind: str) -> None:
        self.exchange = kind

    @rule(again=st.booleans())
    def logout(self, again: bool) -> None:
        kind = self.kind
        if self.run(self.engine.ask("logout", service=PYPI))[0]["ok"]:
            self.shares.clear()
        self.run(self.stored(kind if again else "wide"))

    @rule()
    def lock(self) -> None:
        self.run(self.engine.ask("lock"))
        self.shares.clear()
        self.yeses.clear()
        self.run(self.engine.ask("unlock"))

    @rule(opened=st.booleans())
    def lock_by_itself(self, opened: bool) -> None:
        self.run(self.engine.auto_lock.lock("sleep"))
        self.yeses.clear()
        if opened:
            self.run(self.engine.ask("list"))

    @rule(seconds=st.sampled_from([1, 50, 599, 3600]))
    def pass_by(self, seconds: int) -> None:
        self.engine.clock.pass_by(seconds)

    @rule(policy=st.sampled_from(sorted(POLICIES)))
    def another_policy(self, policy: str) -> None:
        if policy != self.policy:
            self.policy = policy
            self.engine.config.write_text(POLICIES[policy])
            self.yeses.clear()
            self.run(self.engine.auto_lock.check())
            self.shares = {path: each for path, each in self.shares.items() if not each.agreed}

    @rule(word=st.sampled_from(["yes", "yes", "no"]))
    def the_next_answers_are(self, word: str) -> None:
        self.says = word

    # What is asked.

    @rule(whole=st.booleans(), projects=PROJECTS, lifetime=st.sampled_from([None, 60, 600, 7200]))
    def share(self, whole: bool, projects: str, lifetime: int | None) -> None:
        names = None if whole else projects or None
        wants = {"whole": whole, "projects": names, "lifetime": lifetime}
        self.asked_now = False
        header, _ = self.run(self.ask("share", **wants))
        if header["ok"]:
            shared = Shared(self.current, whole, names or "", header["ends"], self.asked_now)
            self.shares[header["socket"]] = shared

    @rule(ttl=TTLS, projects=PROJECTS, whole=st.booleans())
    def fetch(self, ttl: int | None, projects: str, whole: bool) -> None:
        wants = {"whole": True} if whole else {"ttl": ttl, "projects": projects or None}
        before = self.current
        header, body = self.run(self.ask("fetch", **wants))
        if not header["ok"]:
            return
        out = self.out(body)
        assert out.login == before == self.current
        if self.policy == "no two" and not whole and self.kind != "password":
            assert out.projects is None or "two" not in out.projects
        assert header["consent"] or self.policy != "asks"
        if header["consent"]:
            named = self.asked_for.get("projects", "")
            assert any(
                yes.login == out.login
                and yes.projects == named
                and yes.whole == (out.seconds is None)
                and (yes.whole or out.seconds is None or out.seconds <= yes.seconds)
                for yes in self.yeses
            )

    @rule(at=st.integers(0, 3), ttl=TTLS, projects=PROJECTS)
    def fetch_by_a_share(self, at: int, ttl: int | None, projects: str) -> None:
        for path in [*self.shares][at % (len(self.shares) or 1) :][:1]:
            share, now = self.shares[path], self.engine.clock.wall()
            closed = self.engine.disabled.state == "closed"
            wants: dict[str, Any] = {"ttl": ttl} if ttl else {}
            wants |= {"projects": projects} if projects else {}
            header, body = self.run(fetched(path, service=PYPI, **wants))
            over = share.end is not None and share.end <= now
            if header["ok"]:
                assert not over
                assert not closed
                self.held_against(share, self.out(body), now)
            elif not over and self.policy not in {"no two", "asks"} and not projects:
                assert (header["code"], closed) == ("locked", True)

    def held_against(self, share: Shared, out: Out, now: int) -> None:
        assert out.login == share.login
        assert (out.seconds is None) is share.whole
        if out.seconds is not None:
            left = DEFAULT_TTL if share.end is None else share.end - now
            assert out.seconds <= min(left, DEFAULT_TTL)
        if share.projects:
            assert out.projects is not None
            assert out.projects <= set(share.projects.split())

    @invariant()
    def all_that_is_shared_is_what_the_model_has(self) -> None:
        if not hasattr(self, "engine"):
            return
        self.engine.vaults.when_changed()
        assert {share["socket"] for share in self.engine.share_requests.overview()} == set(
            self.shares
        )
        assert all(map(there, self.shares))


def test_nothing_goes_out_that_was_not_granted_longer_or_wider() -> None:
    run_state_machine_as_test(
        Machine, settings=settings(max_examples=80, stateful_step_count=20, deadline=None)
    )
