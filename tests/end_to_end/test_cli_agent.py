"""`auth agent ...` and what happens when there is no agent."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from support.agents.reference import ReferenceAgent, done
from support.auth_commands import PROGRAMS
from support.inspection.processes import is_running
from support.waiting import PATIENCE
from tokenward_protocol import VERSION

if TYPE_CHECKING:
    from support.home import Home

URL = "https://h.example/"
NO_PROCESS = 2**22 + 1
"""A number past the last that Linux gives to a process."""


def test_status_of_no_agent_is_an_answer(home: Home) -> None:
    nothing = dict.fromkeys(("pid", "locked", "version", "socket", "service"))
    assert home.answer("agent", "status") == {"running": False, **nothing}
    assert home.done("agent", "status") == "The agent is not running.\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")
def test_an_agent_that_ends_before_its_answer_counts_as_ended(home: Home) -> None:
    """One that another agent replaces hangs up between its greeting and the next answer."""
    socket = home.path / "run" / "tokenward" / "agent.sock"
    socket.parent.mkdir(mode=0o700, exist_ok=True)

    def greets_alone(request: dict[str, Any]) -> bytes | None:
        if request["op"] == "hello":
            return done(request, version=VERSION, wire=1, pid=NO_PROCESS)
        return b""

    with ReferenceAgent(socket, instead=greets_alone) as agent:
        assert home.answer("agent", "status")["running"] is False
        assert home.answer("agent", "stop")["running"] is False
        assert agent.ops.count("hello") == 2


def test_start_and_stop_say_what_was_so_already(home: Home) -> None:
    first = home.answer("agent", "start")
    again = home.answer("agent", "start")
    assert (first["started"], again["started"], first["pid"]) == (True, False, again["pid"])
    assert is_running(first["pid"])
    assert home.answer("agent", "stop")["stopped"] == first["pid"]
    assert not is_running(first["pid"])
    assert home.answer("agent", "stop")["stopped"] is None


def test_restart_starts_another_process(home: Home) -> None:
    first = home.answer("agent", "start")["pid"]
    found = home.answer("agent", "restart")
    assert found["stopped"] == first != found["pid"]
    assert home.agent_pid() == found["pid"]


def test_status_knows_version_and_address(home: Home) -> None:
    home.done("agent", "start")
    found = home.answer("agent", "status")
    assert found["socket"] == f"{home.path}/run/tokenward/agent.sock"
    assert (found["running"], found["locked"]) == (True, False)
    assert home.done("--version") == f"tokenward {found['version']}\n"


def test_status_says_upon_what_the_agent_locks_by_itself(home: Home) -> None:
    config = home.path / ".config" / "tokenward" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text('lock-on-screen-lock = true\nlock-after-idle = "8h"\n')
    variables = {"TOKENWARD_CONFIG": str(config)}
    home.done("agent", "start", **variables)
    found = home.answer("status", **variables)["locks"]
    assert (found["sleep"][-1], found["idle"], found["last"]) == ("clock", 28800, None)
    (line,) = (
        each
        for each in home.done("status", **variables).splitlines()
        if each.startswith("  locks ")
    )
    assert "sleep, when the screen is locked" in line
    assert line.endswith("after 8 hours of idleness")


def test_starting_by_hand_is_no_start_on_demand(home: Home) -> None:
    result = home.auth("token", URL, TOKENWARD_NO_AUTOSTART="1")
    assert result.returncode == 2
    assert "TOKENWARD_NO_AUTOSTART" in result.stderr
    assert home.agent_pid() is None
    assert home.answer("agent", "start", TOKENWARD_NO_AUTOSTART="1")["started"] is True


def test_run_is_the_agent_itself_until_it_is_interrupted(home: Home) -> None:
    process = subprocess.Popen(
        [PROGRAMS / "auth", "agent", "run"],
        env=home.environment | {"TOKENWARD_PASSPHRASE_FILE": "/nowhere"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        while (pid := home.agent_pid()) is None:
            assert process.poll() is None
        assert pid == process.pid
        assert "`auth agent stop`" in home.auth("agent", "run").stderr
        home.done("login", URL, "--token", "t", TOKENWARD_NO_AUTOSTART="1")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) in {0, -signal.SIGINT}
    finally:
        process.kill()
        _, errors = process.communicate()
    assert b"Traceback" not in errors


@pytest.mark.skipif(sys.platform == "darwin", reason="launchd always answers")
def test_where_no_service_manager_answers_that_is_said_and_nothing_changes(home: Home) -> None:
    pid = home.answer("agent", "start")["pid"]
    nothing: dict[str, Any] = {"manager": None, "installed": False, "written": [], "pid": None}
    assert home.answer("agent", "install") == nothing
    said = home.auth("agent", "install")
    assert said.returncode == 0
    assert said.stderr.startswith("No service manager runs here that tokenward knows; ")
    removed: dict[str, Any] = {"manager": None, "installed": False, "removed": []}
    assert home.answer("agent", "uninstall") == removed
    assert home.agent_pid() == pid


def test_an_agent_that_was_killed_is_started_again_by_the_next_command(home: Home) -> None:
    home.done("login", URL, "--token", "t")
    pid = home.agent_pid()
    assert pid is not None
    process = psutil.Process(pid)
    process.kill()
    process.wait(PATIENCE)
    assert home.done("token", URL) == "t\n"
