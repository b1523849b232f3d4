"""Many commands at once where no agent runs: every one is answered, and by one agent."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from home import Home

SERVICE = "https://index.example/"


def test_six_commands_at_once_start_one_agent_and_are_all_answered(home: Home) -> None:
    home.done("login", SERVICE, "-u", "alice", "--password", "-", stdin="made-up-secret\n")
    home.done("agent", "stop")
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: home.auth("token", SERVICE), range(6)))
    assert [answer.stdout for answer in answers] == ["made-up-secret\n"] * 6
    before = home.done("agent", "status")
    home.done("token", SERVICE)
    assert home.done("agent", "status") == before  # the same process still


def test_an_agent_that_was_stopped_comes_back_with_the_next_command(home: Home) -> None:
    home.done("login", SERVICE, "-u", "alice", "--password", "-", stdin="made-up-secret\n")
    home.done("agent", "stop")
    assert home.auth("token", SERVICE, TOKENWARD_NO_AUTOSTART="1").returncode == 2
    assert home.done("token", SERVICE) == "made-up-secret\n"
