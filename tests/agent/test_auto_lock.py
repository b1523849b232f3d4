"""Locking by itself: after idleness and sleep, by the clocks, and what such a lock leaves."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

import pytest

from support.agents.in_process import Engine
from tokenward_agent.clock import SystemClock
from tokenward_agent.policy.reading import PolicyError, read_lock_settings, read_policy
from tokenward_agent.policy.rule import LockSettings
from tokenward_agent.session.auto_lock import LEAST_SLEEP

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

URL = "https://index.example/team/"
PASSPHRASE = memoryview(bytearray(b"correct horse"))


async def with_passphrase(root: Path, settings: str = "") -> Engine:
    """Return an engine whose `disabled` vault is open, and opens with a passphrase."""
    engine = Engine(root)
    engine.config.write_text(settings)
    await engine.creation.create("disabled", "passphrase", {}, PASSPHRASE, None)
    await engine.login(URL, b"secret")
    await engine.auto_lock.check()
    return engine


async def fetched(engine: Engine) -> bool:
    header, secret = await engine.ask("fetch", service=URL)
    return bool(header["ok"]) and secret == b"secret"


def state(engine: Engine) -> str:
    return engine.disabled.state


def last(engine: Engine) -> Any:
    return engine.auto_lock.overview()["last"]


async def test_what_is_idle_for_long_enough_is_locked_and_looking_is_no_use(tmp_path: Path) -> None:
    engine = await with_passphrase(tmp_path, 'lock-after-idle = "1h"')
    engine.clock.pass_by(3599)
    assert await fetched(engine)  # which begins the hour anew
    engine.clock.pass_by(3599)
    await engine.ask("status")
    await engine.ask("list")
    await engine.auto_lock.check()
    assert state(engine) == "open"
    engine.clock.pass_by(1)
    await engine.auto_lock.check()
    assert state(engine) == "closed"
    assert last(engine) == {"why": "idle", "time": engine.clock.wall_now}
    assert not engine.locking.is_locked


async def test_no_request_gets_ahead_of_a_lock_that_is_due(tmp_path: Path) -> None:
    engine = await with_passphrase(tmp_path, 'lock-after-idle = "1h"')
    engine.clock.pass_by(3600)
    header, secret = await engine.ask("fetch", service=URL)
    assert (header["code"], secret) == ("locked", b"")


async def test_where_nobody_told_of_a_sleep_the_clock_does_before_anything_is_handed_out(
    tmp_path: Path,
) -> None:
    engine = await with_passphrase(tmp_path)
    engine.clock.slept_for += 1.9
    assert await fetched(engine)
    engine.clock.slept_for += 0.1
    header, _ = await engine.ask("fetch", service=URL)
    assert header["code"] == "locked"
    assert last(engine)["why"] == "sleep"


async def test_a_sleep_that_was_told_of_is_not_told_again_by_the_clock(tmp_path: Path) -> None:
    engine = await with_passphrase(tmp_path)
    await engine.auto_lock.lock("sleep")
    engine.clock.slept_for += 3600
    engine.auto_lock.note_resume()
    await engine.locking.unlock("disabled", PASSPHRASE, {})
    assert await fetched(engine)


async def test_a_sleep_locks_nothing_where_that_is_not_wanted(tmp_path: Path) -> None:
    engine = await with_passphrase(tmp_path, "lock-on-sleep = false")
    engine.clock.slept_for += 3600
    assert await fetched(engine)
    engine.config.write_text("lock-on-sleep = true")
    await engine.auto_lock.check()
    assert await fetched(engine)  # that one was over before it was wanted


async def test_what_needs_nobody_is_opened_by_the_next_request_and_consent_begins_anew(
    tmp_path: Path,
) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    await engine.login(URL, b"secret")
    closings = engine.vaults.closings
    await engine.auto_lock.lock("screen")
    assert state(engine) == "closed"
    assert engine.vaults.closings > closings  # by which consent is remembered
    assert await fetched(engine)


async def test_the_log_says_why_and_is_vouched_for_before_the_keys_are_gone(tmp_path: Path) -> None:
    engine = await with_passphrase(tmp_path)
    await engine.auto_lock.lock("logout")
    await engine.auto_lock.lock("logout")  # nothing is open: it does nothing, and says so
    (file,) = (engine.state / "audit").glob("*.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    locks = [line for line in lines if line["event"] == "lock"]
    assert [(line["why"], "who" in line) for line in locks] == [("logout", False)]
    await engine.locking.unlock("disabled", PASSPHRASE, {})
    known = engine.disabled.chains[-1]
    assert known.lines >= locks[0]["n"]


# Settings.


@pytest.mark.parametrize(
    ("table", "locks"),
    [
        ({}, LockSettings(sleep=True, screen=False, logout=True, idle=0)),
        (
            {"lock-on-screen-lock": True, "lock-on-sleep": False},
            LockSettings(sleep=False, screen=True),
        ),
        (
            {"lock-on-logout": False, "lock-after-idle": "1h30m"},
            LockSettings(logout=False, idle=5400),
        ),
        ({"lock-after-idle": "never"}, LockSettings()),
    ],
)
def test_settings_are_read_and_what_is_not_said_is_as_ever(
    table: dict[str, object], locks: LockSettings
) -> None:
    assert read_lock_settings(table) == locks


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ('lock-on-sleep = "yes"', "`lock-on-sleep` that is neither true nor false"),
        ("lock-on-screen-lock = 1", "`lock-on-screen-lock` that is neither true nor false"),
        ('lock-after-idle = "8"', '`lock-after-idle` that is neither "never" nor a length of'),
        ("lock-after-idle = 8", "`lock-after-idle` that is neither"),
        ("lock-after-idle = false", "`lock-after-idle` that is neither"),
    ],
)
def test_a_setting_that_cannot_be_obeyed_is_refused_by_its_name(line: str, wrong: str) -> None:
    with pytest.raises(PolicyError, match=wrong):
        read_policy(line.encode())


async def test_a_wrong_setting_lets_nothing_through_until_it_is_mended(tmp_path: Path) -> None:
    engine = await with_passphrase(tmp_path, 'lock-after-idle = "1h"')
    engine.config.write_text('lock-after-idle = "soon"')
    header, _ = await engine.ask("fetch", service=URL)
    assert header["code"] == "refused"
    assert "lock-after-idle" in str(header["message"])
    engine.clock.pass_by(3600)
    await engine.auto_lock.check()
    assert last(engine)["why"] == "idle"  # as long as it is wrong, what was said before counts
    await engine.locking.unlock("disabled", PASSPHRASE, {})
    engine.config.write_text('lock-after-idle = "8h"')
    engine.clock.pass_by(10)
    assert await fetched(engine)


# The clock.


def test_the_clock_knows_how_long_the_machine_slept() -> None:
    clock = SystemClock()
    first = clock.asleep_seconds()
    assert (
        0 <= first <= clock.asleep_seconds() + 1
    )  # the machine may sleep now, and never less than before
    if sys.platform == "linux":
        boot, awake = time.clock_gettime(time.CLOCK_BOOTTIME), time.monotonic()
        assert abs(clock.asleep_seconds() - (boot - awake)) < LEAST_SLEEP
