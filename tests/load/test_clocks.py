"""Clocks that move under a real agent: the wall clock either way, sleep, and another boot."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.agents.process import Agent, NotDone

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICE = "https://a.example/"
LIFETIME = 3600
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
OTHER_BOOT = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'

needs_faketime = pytest.mark.skipif(FAKETIME is None, reason="needs the package faketime")
needs_namespaces = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None,
    reason="needs root on Linux for clocks and boots of its own",
)


@pytest.fixture
def shift(tmp_path: Path) -> Path:
    """What the wall clock is off by, where faketime looks each time that it is asked."""
    path = tmp_path / "shift"
    path.write_text("+0")
    return path


@pytest.fixture
def agent(tmp_path: Path, shift: Path) -> Iterator[Agent]:
    environment = {
        "LD_PRELOAD": str(FAKETIME or ""),
        "FAKETIME_TIMESTAMP_FILE": str(shift),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    agent = Agent(tmp_path, environment)
    try:
        agent.ask("create", provider="disabled", slot="key-file")
        agent.ask(
            "login", b"x", service=SERVICE, username="u", provider="disabled", lifetime=LIFETIME
        )
        yield agent
    finally:
        agent.end()


def there(agent: Agent) -> bool:
    """Tell whether the credential is still handed out."""
    try:
        return agent.fetch(SERVICE) == b"x"
    except NotDone as error:
        if error.code != "not-found":
            raise
        return False


def saved(agent: Agent) -> None:
    """Have the vault written once more, and with it that what is over is gone."""
    agent.ask("login", b"y", service="https://b.example/", username="u", provider="disabled")


@needs_faketime
def test_a_wall_clock_set_ahead_ends_a_lifetime_and_set_back_it_revives_nothing(
    agent: Agent, shift: Path
) -> None:
    for moved in ("-10d", "+50m", "-1d", "+0"):
        shift.write_text(moved)
        assert there(agent), moved
    for moved in ("+61m", "+0", "-10d"):
        shift.write_text(moved)
        assert not there(agent), moved
    saved(agent)
    agent.restart()
    assert not there(agent)


@needs_faketime
def test_a_wall_clock_that_jumps_stops_nothing_else(agent: Agent, shift: Path) -> None:
    for moved in ("-20y", "+20y", "+0"):
        shift.write_text(moved)
        service = f"https://{moved[1:]}.example/"
        agent.ask("login", b"y", service=service, username="u", provider="disabled")
        assert agent.fetch(service) == b"y"
        agent.ask("lock")
        agent.ask("unlock")
        agent.restart()
        assert agent.fetch(service) == b"y"


@needs_namespaces
def test_time_asleep_counts(agent: Agent) -> None:
    agent.before = asleep(LIFETIME - 600)
    agent.restart()
    assert there(agent)
    agent.before = asleep(LIFETIME + 1)
    agent.restart()
    assert not there(agent)
    saved(agent)
    agent.before = ()
    agent.restart()
    assert not there(agent)


@needs_namespaces
@pytest.mark.parametrize("name", ["00000000-1111-2222-3333-444444444444\n", ""])
def test_after_a_reboot_the_boot_clock_says_nothing(
    name: str, agent: Agent, tmp_path: Path
) -> None:
    boot = tmp_path / "boot_id"
    boot.write_text(name)
    agent.before = (*asleep(LIFETIME + 1), "--mount", "sh", "-c", OTHER_BOOT, str(boot))
    agent.restart()
    assert there(agent)


@needs_namespaces
@needs_faketime
def test_after_a_reboot_the_wall_clock_decides(agent: Agent, shift: Path, tmp_path: Path) -> None:
    boot = tmp_path / "boot_id"
    boot.write_text("00000000-1111-2222-3333-444444444444\n")
    agent.before = ("unshare", "--mount", "sh", "-c", OTHER_BOOT, str(boot))
    agent.end()
    shift.write_text("+61m")
    agent.start()
    assert not there(agent)


def asleep(seconds: int) -> tuple[str, ...]:
    """Return what starts a process whose machine has slept so long."""
    return ("unshare", "--time", "--boottime", str(seconds))
