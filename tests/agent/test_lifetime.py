"""Lifetimes: over as soon as a clock says so, and no clock that is set back revives anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenward_agent.vault.record import LONGEST, Lifetime, Now

START = Now(wall=1_000_000, boot=500, boot_id="monday")
EIGHT_HOURS = Lifetime.beginning(START, 8 * 3600)


def later(wall: int, boot: int, boot_id: str = "monday") -> Now:
    return Now(START.wall + wall, START.boot + boot, boot_id)


@pytest.mark.parametrize(
    ("now", "left"),
    [
        pytest.param(later(0, 0), 28800, id="at its beginning"),
        pytest.param(later(28799, 28799), 1, id="a second before its end"),
        pytest.param(later(28800, 28800), 0, id="at its end"),
        pytest.param(later(0, 28800), 0, id="wall clock set back, by the boot clock"),
        pytest.param(later(28800, 5), 0, id="wall clock set forward, by the wall clock"),
        pytest.param(later(100, -400, "tuesday"), 28700, id="another boot, by the wall clock"),
        pytest.param(later(28800, -400, "tuesday"), 0, id="another boot, over"),
        pytest.param(later(100, 200, ""), 28700, id="a boot without a name is another one"),
    ],
)
def test_time_that_is_left(now: Now, left: int) -> None:
    assert EIGHT_HOURS.remaining_seconds(now, seen=START.wall) == left
    assert EIGHT_HOURS.is_over(now, seen=START.wall) is (left <= 0)


def test_a_machine_that_comes_up_in_1970_revives_nothing() -> None:
    up = Now(wall=100, boot=3, boot_id="tuesday")
    assert not EIGHT_HOURS.is_over(up, seen=START.wall + 28799)
    assert EIGHT_HOURS.is_over(up, seen=START.wall + 28800)


def test_where_boots_have_no_name_the_wall_clock_decides_alone() -> None:
    nameless = Lifetime.beginning(START._replace(boot_id=""), 60)
    assert not nameless.is_over(Now(START.wall + 59, START.boot + 9999, ""), seen=0)
    assert nameless.is_over(Now(START.wall + 60, 0, ""), seen=0)


@pytest.mark.parametrize("seconds", [0, -1, LONGEST + 1])
def test_a_lifetime_without_time_or_without_end_is_refused(seconds: int) -> None:
    with pytest.raises(ValueError, match="a lifetime lasts"):
        Lifetime.beginning(START, seconds)


@given(st.integers(1, LONGEST), st.integers(-(10**6), 10**6), st.integers(0, LONGEST))
def test_within_a_boot_it_never_outlasts_what_was_asked(asked: int, wall: int, boot: int) -> None:
    lifetime = Lifetime.beginning(START, asked)
    assert lifetime.is_over(later(wall, boot), seen=0) is (boot >= asked or wall >= asked)
