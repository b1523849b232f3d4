"""Both vaults driven at random beside a model: logins, logouts, closings, openings, restarts.

The model has two dictionaries and a counter. Everything that the agent must remember over closings,
clocks that stand still or go back, disks that refuse, and restarts, it has for nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from support.agents.in_process import Engine
from tokenward_agent.failure import Failure
from tokenward_agent.store.lookup import Ambiguous

PROVIDERS = st.sampled_from(["keyring", "disabled"])
SERVICES = ["https://a.example/", "https://a.example/b/"]
USERS = ["ana"]  # few, so that logins meet


class Machine(RuleBasedStateMachine):
    """An agent and its model."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="tw")
        self.runner = asyncio.Runner()
        self.engine = self.run(self.made())
        self.held: dict[str, dict[tuple[str, str], tuple[int, bytes]]] = {
            "keyring": {},
            "disabled": {},
        }
        self.open_ = {"keyring", "disabled"}
        self.count = 0

    async def made(self) -> Engine:
        engine = Engine(Path(self.folder.name))
        await engine.make_both()
        return engine

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.close()
            self.folder.cleanup()

    @rule(provider=PROVIDERS, service=st.sampled_from(SERVICES), user=st.sampled_from(USERS))
    def login(self, provider: str, service: str, user: str) -> None:
        self.count += 1
        secret = b"secret %d" % self.count
        done, code = True, ""
        try:
            self.run(self.engine.login(service, secret, provider, user))
        except Failure as error:
            done, code = False, error.code
        assert (done, code) == ((True, "") if provider in self.open_ else (False, "locked"))
        if done:
            self.held[provider][service, user] = self.count, secret
            self.settle()

    @rule(service=st.sampled_from(SERVICES), user=st.sampled_from(USERS))
    def logout(self, service: str, user: str) -> None:
        there = [name for name in self.open_ if (service, user) in self.held[name]]
        code = ""
        try:
            self.run(self.engine.changes.logout(service, user, provider=None, every=False))
        except Failure as error:
            code = error.code
        missed = "not-found" if len(self.open_) == 2 else "locked"
        assert code == ("" if there else missed)
        for held in self.held.values():  # nor does an older one come back from a closed vault
            if there:
                held.pop((service, user), None)

    @rule(provider=PROVIDERS)
    def close(self, provider: str) -> None:
        self.engine.vaults.close(self.engine.vaults.each[provider])
        self.open_.discard(provider)

    @rule(provider=PROVIDERS)
    def open(self, provider: str) -> None:
        if provider not in self.open_:
            self.run(self.engine.open(provider))
            self.open_.add(provider)
            self.settle()

    @rule(provider=PROVIDERS, service=st.sampled_from(SERVICES))
    def login_while_the_other_is_closed(self, provider: str, service: str) -> None:
        other = "disabled" if provider == "keyring" else "keyring"
        self.open(provider)
        self.close(other)
        self.login(provider, service, "ana")

    @rule(order=st.permutations(["keyring", "disabled"]), count=st.integers(0, 2))
    def restart(self, order: list[str], count: int) -> None:
        async def again() -> Engine:
            return Engine(Path(self.folder.name), self.engine.clock)

        self.engine = self.run(again())
        self.open_ = set()
        for provider in order[:count]:
            self.open(provider)

    @rule(seconds=st.sampled_from([1, 3600, -3600]))
    def turn_the_clock(self, seconds: int) -> None:
        self.engine.clock.wall_now += seconds

    @rule(provider=PROVIDERS)
    def change_the_key(self, provider: str) -> None:
        """Let another agent save in between: its file is read anew by the next save."""
        if provider in self.open_:

            async def other() -> None:
                engine = Engine(Path(self.folder.name), self.engine.clock)
                await engine.open(provider)
                vault, now = engine.vaults.each[provider], engine.clock.wall()
                async with engine.vaults.changing:
                    await engine.vaults.save(vault, dict, now)

            self.run(other())

    def settle(self) -> None:
        """The latest wins where both are open."""
        if len(self.open_) == 2:
            keyring, disabled = self.held["keyring"], self.held["disabled"]
            for key in keyring.keys() & disabled.keys():
                del (keyring if keyring[key] < disabled[key] else disabled)[key]

    @invariant()
    def every_account_answers_with_its_latest_secret(self) -> None:
        if not hasattr(self, "engine"):
            return
        visible = {key: each for name in self.open_ for key, each in self.held[name].items()}
        for service in SERVICES:
            for user in USERS:
                places = [p for p in SERVICES[:2] if service.startswith(p)] or [service]
                keys = [(p, user) for p in sorted(places, key=len, reverse=True)]
                wanted = next((visible[key][1] for key in keys if key in visible), None)
                assert self.engine.fetch(service, user) == wanted
        with contextlib.suppress(Ambiguous):
            self.engine.fetch(SERVICES[1])
        assert self.engine.arena.free_bytes == self.engine.quiet


Machine.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
TestVaultsAgainstModel = Machine.TestCase
