"""Clocks that move under a real agent: the wall clock either way, sleep, and another boot."""

from __future__ import annotations

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
of_another_boot = pytest.mark.root("gives a process a boot of its own")


class Shift:
    """What the wall clock is off by, in a file where faketime looks each time that it is asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.set("+0")

    def set(self, moved: str) -> None:
        """Replace the file: an agent that looks while it is written finds no clock at all."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(moved)
        fresh.replace(self.path)


@pytest.fixture
def shift(tmp_path: Path) -> Shift:
    return Shift(tmp_path / "shift")


@pytest.fixture
def shifted(tmp_path: Path, shift: Shift) -> Iterator[Agent]:
    environment = {
        "LD_PRELOAD": str(FAKETIME or ""),
        "FAKETIME_TIMESTAMP_FILE": str(shift.path),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with Agent(tmp_path, environment) as agent:
        agent.create_vault()
        agent.ask(
            "login", b"x", service=SERVICE, username="u", provider="disabled", lifetime=LIFETIME
        )
        yield agent


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
    agent.log_in("https://b.example/", b"y")


@needs_faketime
def test_a_wall_clock_set_ahead_ends_a_lifetime_and_set_back_it_revives_nothing(
    shifted: Agent, shift: Shift
) -> None:
    for moved in ("-10d", "+50m", "-1d", "+0"):
        shift.set(moved)
        assert there(shifted), moved
    for moved in ("+61m", "+0", "-10d"):
        shift.set(moved)
        assert not there(shifted), moved
    shifted.restart()
    assert not there(shifted)


@needs_faketime
@pytest.mark.parametrize("after", ["lock", "kill"])
def test_a_lock_or_a_kill_at_once_revives_nothing_either(
    after: str, shifted: Agent, shift: Shift
) -> None:
    wire = shifted.wire()
    shift.set("+61m")
    with pytest.raises(NotDone, match="not-found"):
        wire.ask("fetch", service=SERVICE)
    shift.set("+0")
    if after == "lock":
        wire.ask("lock")
        wire.ask("unlock")
    else:
        shifted.restart()
    wire.close()
    assert not there(shifted)


@needs_faketime
def test_a_wall_clock_that_jumps_stops_nothing_else(shifted: Agent, shift: Shift) -> None:
    for moved in ("-20y", "+20y", "+0"):
        shift.set(moved)
        service = f"https://{moved[1:]}.example/"
        shifted.log_in(service, b"y")
        assert shifted.fetch(service) == b"y"
        shifted.ask("lock")
        shifted.ask("unlock")
        shifted.restart()
        assert shifted.fetch(service) == b"y"


@of_another_boot
def test_time_asleep_counts(shifted: Agent) -> None:
    shifted.before = asleep(LIFETIME - 600)
    shifted.restart()
    assert there(shifted)
    shifted.before = asleep(LIFETIME + 1)
    shifted.restart()
    assert not there(shifted)
    saved(shifted)
    shifted.before = ()
    shifted.restart()
    assert not there(shifted)


@of_another_boot
@pytest.mark.parametrize("name", ["00000000-1111-2222-3333-444444444444\n", ""])
def test_after_a_reboot_the_boot_clock_says_nothing(
    name: str, shifted: Agent, tmp_path: Path
) -> None:
    boot = tmp_path / "boot_id"
    boot.write_text(name)
    shifted.before = (*asleep(LIFETIME + 1), "--mount", "sh", "-c", OTHER_BOOT, str(boot))
    shifted.restart()
    assert there(shifted)


@of_another_boot
@needs_faketime
def test_after_a_reboot_the_wall_clock_decides(
    shifted: Agent, shift: Shift, tmp_path: Path
) -> None:
    boot = tmp_path / "boot_id"
    boot.write_text("00000000-1111-2222-3333-444444444444\n")
    shifted.before = ("unshare", "--mount", "sh", "-c", OTHER_BOOT, str(boot))
    shifted.end()
    shift.set("+61m")
    shifted.start()
    assert not there(shifted)


def asleep(seconds: int) -> tuple[str, ...]:
    """Return what starts a process whose machine has slept so long."""
    return ("unshare", "--time", "--boottime", str(seconds))
