"""The clocks of indexes: a child ends by the one that judges it, as far as that was seen."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.agents.in_process import START, Engine, ManualClock
from support.macaroons import caveats_of, token_of
from tokenward_agent.failure import Failure
from tokenward_agent.store.derived_tokens import FARTHEST, MOST, IndexClocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PYPI = "https://upload.pypi.org/legacy/"
DEVPI = "https://devpi.example/root/dev/"


def end_of(child: bytes) -> int:
    """Return when a child of TOKEN ends, by its index's clock."""
    found = caveats_of(child.decode())
    assert found is not None
    return int(json.loads(found[-1])[1])


class Asked:
    """An engine that holds a token of PyPI and is asked one thing after the other."""

    def __init__(self, root: Path, runner: asyncio.Runner) -> None:
        self._runner = runner
        self.engine = runner.run(self._made(root))
        self.clock = self.engine.clock

    async def _made(self, root: Path) -> Engine:
        engine = Engine(root)
        await engine.make("disabled")
        await engine.login(PYPI, token_of("pypi.org", "x").encode(), username="__token__")
        return engine

    def ask(self, op: str, **arguments: Any) -> tuple[dict[str, Any], bytes]:
        return self._runner.run(self.engine.ask(op, **arguments))

    def saw(self, ahead: int) -> dict[str, Any]:
        return self.ask("clock", service=PYPI, now=self.clock.wall() + ahead)[0]

    def fetch(self, **wish: int) -> tuple[dict[str, Any], int]:
        header, child = self.ask("fetch", service=PYPI, **wish)
        return header, end_of(child)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Asked]:
    with asyncio.Runner() as runner:
        yield Asked(tmp_path, runner)


@pytest.mark.parametrize(("moved", "ahead"), [(1, 99), (-1, 100)])
def test_of_a_second_that_is_in_doubt_a_child_ends_early(
    holder: Asked, moved: int, ahead: int
) -> None:
    holder.saw(100)
    holder.clock.wall_now += moved
    assert holder.fetch(ttl=900)[1] == holder.clock.wall() + ahead + 900


@pytest.mark.parametrize("ahead", [0, 1, 3 * 3600, -3 * 3600, FARTHEST, -FARTHEST])
def test_a_child_ends_by_the_clock_of_its_index_and_that_is_told_by_ours(
    holder: Asked, ahead: int
) -> None:
    assert holder.saw(ahead)["ahead"] == ahead
    header, end = holder.fetch(ttl=900)
    assert end == START + ahead + 900
    assert header["expires"] == START + 900


def test_a_stored_token_ends_by_the_clock_of_its_index_too(holder: Asked) -> None:
    token = token_of("pypi.org", "y", f"[0,{START + 500},0]")
    named = {"service": PYPI, "username": "__token__", "provider": "disabled"}
    holder._runner.run(holder.engine.ask("login", token.encode(), **named))
    holder.saw(-600)  # its end by our clock, which was stored with it, is the earlier one
    assert holder.fetch()[0]["expires"] == START + 500
    assert holder.fetch()[1] == START - 100
    holder.saw(500)
    header, _ = holder.ask("fetch", service=PYPI)
    assert (header["code"], header["message"]) == ("refused", "The stored token has expired.")


def test_a_login_ends_by_ours(holder: Asked) -> None:
    token = token_of("pypi.org", "y")
    named: dict[str, Any] = {"service": PYPI, "username": "__token__", "provider": "disabled"}
    holder._runner.run(holder.engine.ask("login", token.encode(), lifetime=100, **named))
    holder.saw(3600)
    header, end = holder.fetch()
    assert (header["expires"], end) == (START + 100, START + 3700)


def test_what_nobody_can_mean_is_refused_and_what_is_zero_is_forgotten(holder: Asked) -> None:
    holder.saw(60)
    for ahead in (FARTHEST + 1, -FARTHEST - 1):
        assert holder.saw(ahead)["code"] == "bad-request"
    assert holder.fetch(ttl=60)[1] == START + 120
    holder.saw(0)
    assert holder.fetch(ttl=60)[1] == START + 60


def test_what_was_seen_is_written_down(holder: Asked) -> None:
    holder.saw(-7200)
    (path,) = (holder.engine.state / "audit").glob("*.jsonl")
    line = json.loads(path.read_text().splitlines()[-1])
    assert (line["event"], line["service"], line["ahead"]) == ("clock", PYPI, -7200)


def test_one_index_has_one_clock_and_another_has_another() -> None:
    clock = ManualClock()
    clocks = IndexClocks(clock)
    clocks.record(DEVPI, START + 50)
    assert clocks.ahead("https://devpi.example/ana/") == 50
    for other in (PYPI, "https://devpi.example:8443/root/dev/", "devpi.example"):
        assert clocks.ahead(other) == 0
    clocks.record("poetry-repository-x", START + 70)
    assert clocks.ahead("poetry-repository-x") == 70
    for number in range(MOST):
        clocks.record(f"https://{number}.example/", START + 9)
    assert clocks.ahead(DEVPI) == 0
    assert clocks.ahead("https://0.example/") == 9


@pytest.mark.parametrize("step", [-86400, -2, 2, 10800])
def test_a_clock_that_was_set_is_another_one(step: int) -> None:
    clock = ManualClock()
    clocks = IndexClocks(clock)
    clocks.record(PYPI, START + 10800)
    clock.pass_by(1_000_000)
    assert clocks.ahead(PYPI) == 10800
    clock.wall_now += step
    assert clocks.ahead(PYPI) == 0
    clock.wall_now -= step
    assert clocks.ahead(PYPI) == 0


# What happens to two clocks: time passes (0), ours is set (1), the index's is seen (2).
EVENTS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(-3, 3) | st.integers(-90000, 90000)), max_size=8
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.integers(-FARTHEST, FARTHEST), st.integers(0, 12), EVENTS, st.sampled_from([60, 900, 0]))
def test_no_child_lives_longer_than_asked_by_the_clock_of_its_index(
    holder: Asked, ahead: int, late: int, events: list[tuple[int, int]], ttl: int
) -> None:
    """`late` is by how much what is seen is behind what is: an answer takes its time."""
    clock = holder.clock
    holder.saw(0)
    there = clock.wall() + ahead  # the index's clock, which nobody here can read
    seen = set_since = 0
    known = False
    for kind, seconds in [(2, 0), *events]:
        if kind == 0:
            clock.pass_by(abs(seconds))
            there += abs(seconds)
        elif kind == 1:
            clock.wall_now += seconds
            set_since += seconds
        elif abs(there - late - clock.wall()) <= FARTHEST:
            seen = there - late - clock.wall()
            holder.saw(seen)
            known, set_since = True, 0
        known = known and abs(set_since) <= 1 and seen != 0
        _, end = holder.fetch(**({"ttl": ttl} if ttl else {}))
        if known:
            assert there + (ttl or 3600) - late - 2 <= end <= there + (ttl or 3600)
        else:
            assert end == clock.wall() + (ttl or 3600)


def test_what_is_too_far_off_is_kept_by_nobody() -> None:
    clocks = IndexClocks(ManualClock())
    with pytest.raises(Failure):
        clocks.record(PYPI, 0)
    assert clocks.ahead(PYPI) == 0
