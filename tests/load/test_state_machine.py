"""An agent and a naive model of it, driven side by side through whatever Hypothesis thinks of.

The agent is the real one behind its socket, over real files, with clocks that the test turns. The
model knows no files, no vaults and no indexes: a dictionary, and the rules of the documentation.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from support.agents.in_process import Engine, ManualClock

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from tokenward_protocol.packing import Value

SERVICES = st.sampled_from(
    [
        "https://a.example/",
        "https://a.example/x/",
        "https://a.example/x/y/",
        "https://a.example:8443/x/",
        "https://b.example/",
        "opaque",
    ]
)
ASKED = SERVICES | st.sampled_from(["https://a.example/x/y/z/", "https://a.example/xx/"])
USERS = st.sampled_from(["__token__", "ana", "bob"])
SECRETS = st.binary(max_size=40)
PROVIDERS = st.sampled_from(["keyring", "disabled"])
LIFETIMES = st.none() | st.integers(1, 100)

Key = tuple[str, str]


class Held(NamedTuple):
    """What the model knows of a credential; the ends are None where it has no lifetime."""

    secret: bytes
    provider: str
    wall_end: int | None
    boot_end: int | None
    boot: str


class AgentAndModel(RuleBasedStateMachine):
    """One agent, its model, and what may happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self._cleanup = contextlib.ExitStack()
        self.root = Path(self._cleanup.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
        self.clock = ManualClock()
        self.latest = self.clock.wall_now
        self.boots = 0
        self.held: dict[Key, Held] = {}
        self.locked = False
        self.start()

    def teardown(self) -> None:
        self.runner.close()
        self._cleanup.close()

    # The agent.

    def start(self) -> None:
        async def engine() -> Engine:
            return Engine(self.root, self.clock)

        self.runner = asyncio.Runner()
        self.engine = self.do(engine())

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def ask(self, op: str, body: bytes = b"", **arguments: Any) -> tuple[dict[str, Value], bytes]:
        given = {name: value for name, value in arguments.items() if value is not None}
        header, secret = self.do(self.engine.ask(op, body, **given))
        assert header.get("code") != "internal", header
        return header, secret

    def settle(self) -> None:
        """Have the agent open what it can, and both forget what is over."""
        self.ask("list")
        if not self.locked:
            self.held = {key: each for key, each in self.held.items() if not self.over(each)}

    def abandon(self) -> None:
        """End the agent where it stands, with whatever it was doing, and start another one."""
        self.runner.close()
        self.start()
        self.settle()

    # The model.

    def over(self, held: Held) -> bool:
        if held.wall_end is None or held.boot_end is None:
            return False
        same_boot = held.boot == self.clock.boot_name
        return self.clock.wall_now >= held.wall_end or (
            same_boot and self.clock.boot_now >= held.boot_end
        )

    def new(self, secret: bytes, provider: str, lifetime: int | None) -> Held:
        if lifetime is None:
            return Held(secret, provider, None, None, "")
        ends = self.clock.wall_now + lifetime, self.clock.boot_now + lifetime
        return Held(secret, provider, *ends, self.clock.boot_name)

    def answer(self, service: str, username: str | None, provider: str | None) -> Key | str:
        """Return what answers, or the code of the refusal."""
        if self.locked:
            return "locked"
        fitting = [
            key
            for key, held in self.held.items()
            if (service.startswith(key[0]) if "://" in service else service == key[0])
            and username in {None, key[1]}
            and provider in {None, held.provider}
        ]
        if not fitting:
            beside = [
                key
                for key, held in self.held.items()
                if key[1] == username
                and provider in {None, held.provider}
                and key[0].split("/")[:3] == service.split("/")[:3]
            ]
            return beside[0] if len(beside) == 1 else "not-found"
        longest = max(len(key[0]) for key in fitting)
        return self.chosen([key for key in fitting if len(key[0]) == longest])

    def chosen(self, fitting: list[Key]) -> Key | str:
        tokens = [key for key in fitting if key[1] == "__token__"]
        if len(fitting) > 1 and not tokens:
            return "ambiguous"
        return (tokens or fitting)[0]

    # What may happen.

    @initialize()
    def make_the_vaults(self) -> None:
        self.do(self.engine.make_both())

    @rule(service=SERVICES, user=USERS, secret=SECRETS, provider=PROVIDERS, lifetime=LIFETIMES)
    def login(
        self, service: str, user: str, secret: bytes, provider: str, lifetime: int | None
    ) -> None:
        header, _ = self.ask(
            "login", secret, service=service, username=user, provider=provider, lifetime=lifetime
        )
        if self.locked:
            assert header["code"] == "locked"
        else:
            assert header["replaced"] is ((service, user) in self.held)
            self.held[service, user] = self.new(secret, provider, lifetime)

    @rule(service=ASKED, user=st.none() | USERS, provider=st.none() | PROVIDERS)
    def fetch(self, service: str, user: str | None, provider: str | None) -> None:
        header, secret = self.ask("fetch", service=service, username=user, provider=provider)
        answer = self.answer(service, user, provider)
        if isinstance(answer, str):
            assert header["code"] == answer
        else:
            held = self.held[answer]
            assert ((header["service"], header["username"]), header["provider"], secret) == (
                answer,
                held.provider,
                held.secret,
            )
            assert header["expires"] == held.wall_end

    @rule(service=SERVICES, user=st.none() | USERS, provider=st.none() | PROVIDERS)
    def logout(self, service: str, user: str | None, provider: str | None) -> None:
        header, _ = self.ask("logout", service=service, username=user, provider=provider)
        here = [
            key
            for key, held in self.held.items()
            if key[0] == service and user in {None, key[1]} and provider in {None, held.provider}
        ]
        wanted = "locked" if self.locked else self.chosen(here) if here else "not-found"
        if isinstance(wanted, str):
            assert header["code"] == wanted
        else:
            assert header["count"] == 1
            del self.held[wanted]

    @rule(service=st.none() | SERVICES)
    def logout_all(self, service: str | None) -> None:
        header, _ = self.ask("logout", service=service, all=True)
        gone = [key for key in self.held if service in {None, key[0]}]
        if self.locked or not gone:
            assert header["code"] == ("locked" if self.locked else "not-found")
        else:
            assert header["count"] == len(gone)
            for key in gone:
                del self.held[key]

    @rule()
    def list_everything(self) -> None:
        header, _ = self.ask("list")
        entries = header["entries"]
        assert isinstance(entries, list)
        found = {(each["service"], each["username"], each["provider"]) for each in entries}  # type: ignore[index, call-overload]  # a map, as the protocol says
        known = {(*key, held.provider) for key, held in self.held.items()}
        assert found == (set() if self.locked else known)
        assert len(entries) == len(found)
        assert header["closed"] == (["keyring", "disabled"] if self.locked else [])

    @rule()
    def lock(self) -> None:
        assert self.ask("lock")[0]["ok"] is True
        self.locked = True

    @rule()
    def unlock(self) -> None:
        header, _ = self.ask("unlock")
        assert header["opened"] == ["keyring", "disabled"]
        self.locked = False
        self.settle()

    @rule()
    def lock_by_itself(self) -> None:
        """As after sleep: the next request opens what needs nobody."""
        self.engine.locking.close()
        self.settle()

    @rule(seconds=st.integers(1, 60))
    def time_passes(self, seconds: int) -> None:
        self.clock.pass_by(seconds)
        self.latest = max(self.latest, self.clock.wall_now)
        self.settle()

    @rule(seconds=st.integers(-100, 100))
    def the_wall_clock_is_set(self, seconds: int) -> None:
        self.clock.wall_now += seconds
        self.latest = max(self.latest, self.clock.wall_now)
        self.settle()

    @rule()
    def restart(self) -> None:
        self.engine.locking.close()
        self.abandon()

    @rule(off=st.integers(0, 60))
    def reboot(self, off: int) -> None:
        self.boots += 1
        self.clock.boot_name, self.clock.boot_now = f"boot {self.boots}", 10
        self.clock.wall_now = self.latest = self.latest + off
        self.abandon()

    @rule(service=SERVICES, user=USERS, secret=SECRETS, provider=PROVIDERS, steps=st.integers(0, 9))
    def killed_in_a_login(
        self, service: str, user: str, secret: bytes, provider: str, steps: int
    ) -> None:
        """Nobody was told that it is stored: afterwards it is, or what was there before is."""

        async def begun() -> None:
            asking = self.engine.ask(
                "login", secret, service=service, username=user, provider=provider
            )
            task = asyncio.get_running_loop().create_task(asking)
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

        self.do(begun())
        before = self.held.get((service, user))
        self.abandon()
        if self.locked:
            return
        header, found = self.ask("fetch", service=service, username=user)
        stored = header["ok"] and (header["service"], header["username"]) == (service, user)
        if stored and (found, header["provider"]) == (secret, provider):
            stayed = (secret, provider, header["expires"])  # which of two that look the same?
            if before is None or (before.secret, before.provider, before.wall_end) != stayed:
                self.held[service, user] = self.new(secret, provider, None)
        else:
            assert stored is (before is not None and not self.over(before))


AgentAndModel.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, report_multiple_bugs=False
)
TestAgentAndModel = AgentAndModel.TestCase


def test_a_lock_right_after_a_clock_was_set_back_revives_nothing() -> None:
    """What Hypothesis found: an end that was seen, whose removal a lock came before."""
    machine = AgentAndModel()
    try:
        machine.make_the_vaults()
        machine.login("https://a.example/", "__token__", b"", "keyring", 43)
        machine.the_wall_clock_is_set(94)
        machine.the_wall_clock_is_set(-52)
        machine.lock_by_itself()
        machine.logout_all(None)
    finally:
        machine.teardown()
