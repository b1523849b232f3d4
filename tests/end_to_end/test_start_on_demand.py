"""Many commands at once where no agent runs: every one is answered, and by one agent."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from support.auth_commands import PROGRAMS
from support.inspection.held_texts import paths_below

if TYPE_CHECKING:
    from support.home import Home

SERVICE = "https://index.example/"
DEAF_TO_CHILDREN = """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # a program that it becomes ignores it, too
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_six_commands_at_once_start_one_agent_and_are_all_answered(home: Home) -> None:
    home.log_in(SERVICE, "made-up-secret")
    home.done("agent", "stop")
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: home.auth("token", SERVICE), range(6)))
    assert [answer.stdout for answer in answers] == ["made-up-secret\n"] * 6
    before = home.done("agent", "status")
    home.done("token", SERVICE)
    assert home.done("agent", "status") == before  # the same process still


def test_an_agent_that_was_stopped_comes_back_with_the_next_command(home: Home) -> None:
    home.log_in(SERVICE, "made-up-secret")
    home.done("agent", "stop")
    assert home.auth("token", SERVICE, TOKENWARD_NO_AUTOSTART="1").returncode == 2
    assert home.done("token", SERVICE) == "made-up-secret\n"


def test_a_starter_that_ignores_the_end_of_its_children_makes_no_difference(home: Home) -> None:
    auth = [sys.executable, "-c", DEAF_TO_CHILDREN, str(PROGRAMS / "auth")]
    phrase = home.path / "phrase"
    phrase.touch(mode=0o600)
    phrase.write_text("a passphrase\n")
    login = ["login", SERVICE, "-u", "alice", "--password", "-"]
    given = {"TOKENWARD_PASSPHRASE_FILE": str(phrase)}  # stretched in a worker, the agent's child
    stored = home.run(*auth, *login, stdin="made-up-secret\n", **given)
    assert stored.returncode == 0, stored
    assert "Traceback" not in stored.stderr
    assert home.done("token", SERVICE, **given) == "made-up-secret\n"
    (log,) = paths_below(home.path, "agent.log")
    assert log.read_text() == ""
    home.done("agent", "stop")
    (state,) = home.path.glob("**/state/tokenward/*/")
    state.chmod(0o755)
    refused = home.run(*auth, "list")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"error: The directory {state} is open to others")
