"""The agent under the real launchd: installed, started by the first request, and taken away.

There is one job of that name for a user, so nothing is done where it is there already.
"""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.waiting import until
from tokenward.services.launchd import LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.home import Home

pytestmark = pytest.mark.macos

URL = "https://index.example/simple/"


@pytest.fixture
def installed(home: Home) -> Iterator[Home]:
    """A home whose agent launchd looks after, with one credential stored."""
    for domain in ("gui", "user"):
        command = ["/bin/launchctl", "print", f"{domain}/{os.geteuid()}/{LABEL}"]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            pytest.skip("this user's own agent is installed")
    home.done("agent", "install")
    try:
        home.done("login", URL, "--token", "t-1", "--keyring-provider", "disabled")
        yield home
    finally:
        home.done("agent", "uninstall")


def status(home: Home) -> dict[str, object]:
    found = home.answer("agent", "status")
    assert isinstance(found, dict)
    return found


def test_the_first_request_starts_it_again_after_a_stop(installed: Home) -> None:
    installed.done("agent", "stop")
    assert status(installed)["running"] is False
    assert installed.done("token", URL, TOKENWARD_NO_AUTOSTART="1") == "t-1\n"


def test_the_next_request_is_answered_after_a_kill(installed: Home) -> None:
    pid = installed.agent_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: status(installed)["pid"] != pid)
    assert installed.done("token", URL) == "t-1\n"
    assert installed.agent_pid() != pid


def test_after_it_was_taken_away_the_agent_is_started_on_demand(installed: Home) -> None:
    assert status(installed)["service"] is not None
    installed.done("agent", "uninstall")
    assert not list(installed.path.rglob("*.plist"))
    assert status(installed)["service"] is None
    assert installed.done("token", URL) == "t-1\n"
