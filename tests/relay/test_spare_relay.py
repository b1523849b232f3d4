"""The relay that waits for the next run: it becomes that run's, holds nothing before, and outlives no agent."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from support.inspection.processes import children, is_running, relays
from support.runs import Index, Publisher
from support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.home import Home

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no relay yet")

UPLOADS = '-F :action=file_upload -F name=one "$TWINE_REPOSITORY_URL"'
WAITS = "touch begun; for n in $(seq 500); do [ -e go ] && break; sleep 0.02; done"


@pytest.fixture
def user(home: Home) -> Iterator[Publisher]:
    with Publisher(home, Index()) as it:
        yield it


def spare_of(user: Publisher) -> int:
    """Return the process that waits once a first run has ended."""
    assert user.exec("true").returncode == 0
    agent = user.home.agent_pid()
    assert agent is not None

    def waiting() -> list[int]:
        return [pid for pid in children(agent) if is_running(pid) and pid not in relays(agent)]

    return until(waiting)[0]


def test_the_next_run_gets_it_and_is_told_its_own_refusals(user: Publisher) -> None:
    spare = spare_of(user)
    run = user.started("sh", "-c", f"{WAITS}; curl -sS {UPLOADS}")
    with run:
        until((user.home.path / "begun").exists)
        agent = user.home.agent_pid()
        assert agent is not None
        assert relays(agent) == [spare]
        (user.home.path / "go").touch()
        said, errors = run.communicate(timeout=PATIENCE)
    assert "may publish nothing" in said
    assert errors.count("may publish nothing") == 1
    until(lambda: not is_running(spare))  # it ended with that run


def test_one_that_was_killed_stops_no_run(user: Publisher) -> None:
    os.kill(spare_of(user), signal.SIGKILL)
    assert user.exec("true").returncode == 0


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_it_ends_with_the_agent(user: Publisher, end: str) -> None:
    spare = spare_of(user)
    agent = user.home.agent_pid()
    assert agent is not None
    if end == "stop":
        user.home.done("agent", "stop")
    else:
        os.kill(agent, signal.SIGKILL)
    until(lambda: not is_running(spare))


def test_a_run_that_begins_while_it_starts_works(user: Publisher) -> None:
    for _ in range(4):
        assert user.exec("true").returncode == 0
