"""One agent for a credentials directory and host, whatever environment its clients have.

A login shell has XDG_RUNTIME_DIR; cron, `su` and `ssh HOST COMMAND` have not, or have another one.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.inspection.processes import is_running
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.home import Home

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a pipe's name is always the same")
URL, SECRET = "https://a.example/", "s3cret"


@pytest.fixture(params=["another runtime directory", "no runtime directory"])
def cron(request: pytest.FixtureRequest, home: Home) -> Iterator[dict[str, str]]:
    """What the environment of another session changes; in the first one something is stored."""
    home.log_in(URL, SECRET)
    other = home.path / "other"
    other.mkdir(mode=0o700)
    yield {
        "another runtime directory": {"XDG_RUNTIME_DIR": str(other)},
        "no runtime directory": {"XDG_RUNTIME_DIR": ""},
    }[request.param]
    home.done("agent", "stop")


def record(home: Home) -> Path:
    (found,) = (home.path / ".local/state/tokenward").glob("*/agent-*")
    return found


def test_every_environment_meets_the_same_agent(cron: dict[str, str], home: Home) -> None:
    pid = home.agent_pid()
    assert home.answer("agent", "status", **cron)["pid"] == pid
    assert home.answer("status", **cron)["pid"] == pid
    assert home.done("token", URL, **cron) == f"{SECRET}\n"
    home.log_in("https://b.example/", "other", **cron)
    assert home.done("token", "https://b.example/") == "other\n"
    assert home.agent_pid() == pid


def test_a_lock_there_is_a_lock_here(cron: dict[str, str], home: Home) -> None:
    home.done("lock", **cron)
    assert "not open" in home.refused("token", URL)
    home.done("unlock", **cron)
    assert home.done("token", URL) == f"{SECRET}\n"


def test_what_was_replaced_or_removed_there_is_so_here(cron: dict[str, str], home: Home) -> None:
    home.log_in(URL, "newer", **cron)
    assert home.done("token", URL) == "newer\n"
    home.done("logout", URL, "-u", "alice", **cron)
    assert "is stored" in home.refused("token", URL)


def test_a_stop_there_stops_the_one_agent(cron: dict[str, str], home: Home) -> None:
    pid = home.agent_pid()
    assert home.answer("agent", "stop", **cron)["stopped"] == pid
    assert home.agent_pid() is None
    assert home.done("token", URL) == f"{SECRET}\n"  # by a new one, started from here


def test_it_is_found_where_nothing_may_be_started(cron: dict[str, str], home: Home) -> None:
    assert home.done("token", URL, TOKENWARD_NO_AUTOSTART="1", **cron) == f"{SECRET}\n"


def test_tools_find_it_too_and_start_nothing_for_it(cron: dict[str, str], home: Home) -> None:
    program = (
        "import sys; from tokenward.keyring_program.client import ask; print(ask(*sys.argv[1:])[1])"
    )
    command = (sys.executable, "-c", program, URL, "alice")
    assert home.run(*command, TOKENWARD_NO_AUTOSTART="1", **cron).stdout == f"{SECRET}\n"


def test_of_agents_started_at_once_in_two_environments_one_serves(
    cron: dict[str, str], home: Home
) -> None:
    home.done("agent", "stop")
    for _ in range(3):
        both = [
            subprocess.Popen(
                [PROGRAMS / "auth", "token", URL],
                env=home.environment | more,
                stdout=subprocess.PIPE,
                text=True,
            )
            for more in ({}, cron)
        ]
        assert [each.communicate()[0] for each in both] == [f"{SECRET}\n"] * 2
        pid = home.agent_pid()
        assert home.answer("agent", "status", **cron)["pid"] == pid
        home.done("agent", "stop")


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
def test_the_record_of_one_that_is_gone_keeps_nobody_from_starting(
    signal_number: int, cron: dict[str, str], home: Home
) -> None:
    pid = home.agent_pid()
    assert pid
    os.kill(pid, signal_number)
    until(lambda: not is_running(pid))
    assert home.done("token", URL, **cron) == f"{SECRET}\n"
    assert home.answer("agent", "status")["pid"] == home.answer("agent", "status", **cron)["pid"]


def test_an_agent_that_ends_takes_its_record_away(cron: dict[str, str], home: Home) -> None:
    path = record(home)
    assert path.read_text().endswith(".sock\n")
    home.done("agent", "stop", **cron)
    assert not path.exists()


WRONG = ["", "no path\n", "/nonexistent.sock\n", "/tmp\n", "\xff\n", "/tmp/x"]


@pytest.mark.parametrize("text", WRONG)
def test_a_record_that_is_nonsense_counts_for_nothing(text: str, home: Home) -> None:
    home.log_in(URL, SECRET)
    path = record(home)
    home.done("agent", "stop")
    path.touch(mode=0o600)
    path.write_text(text, "latin-1")
    assert home.auth("agent", "status").returncode == 0
    assert home.done("token", URL) == f"{SECRET}\n"


def test_a_link_in_the_place_of_the_record_is_named(home: Home) -> None:
    home.log_in(URL, SECRET)
    path = record(home)
    home.done("agent", "stop")
    path.symlink_to(home.path / "elsewhere")
    assert str(path) in home.refused("token", URL)
    assert not (home.path / "elsewhere").exists()
    path.unlink()
    assert home.done("token", URL) == f"{SECRET}\n"


@pytest.mark.root("becomes another user")
def test_an_agent_of_somebody_else_at_the_recorded_address_is_sent_nothing(home: Home) -> None:
    """Somebody took the path that an agent which was killed had in a folder of theirs."""
    home.log_in(URL, SECRET)
    path = record(home)
    home.done("agent", "stop")
    theirs = home.path / "theirs"
    theirs.mkdir()
    poser = (
        "import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen();"
        "os.chmod(sys.argv[1], 0o666); os.setuid(12345); print('up', flush=True)\n"
        "s.listen(); c, _ = s.accept(); print(c.recv(100))"
    )
    listening = subprocess.Popen(
        [sys.executable, "-c", poser, str(theirs / "s")], stdout=subprocess.PIPE, text=True
    )
    assert listening.stdout is not None
    assert listening.stdout.readline() == "up\n"
    path.touch(mode=0o600)
    path.write_text(f"{theirs}/s\n")
    assert home.done("token", URL) == f"{SECRET}\n"
    assert listening.wait() == 0
    assert listening.stdout.read() == "b''\n"
    listening.stdout.close()


def test_a_state_folder_that_lost_its_record_still_serves(home: Home) -> None:
    home.log_in(URL, SECRET)
    record(home).unlink()
    assert home.done("token", URL) == f"{SECRET}\n"
    home.done("agent", "stop")
    shutil.rmtree(home.path / "run")
    assert home.done("token", URL, XDG_RUNTIME_DIR="") == f"{SECRET}\n"
    home.done("agent", "stop", XDG_RUNTIME_DIR="")


@pytest.fixture
def elsewhere(home: Home) -> dict[str, str]:
    """An environment with a state directory and a runtime directory of its own."""
    for name in "other-run", "other-state":
        (home.path / name).mkdir(mode=0o700)
    return {
        "XDG_STATE_HOME": f"{home.path}/other-state",
        "XDG_RUNTIME_DIR": f"{home.path}/other-run",
    }


def test_an_agent_of_another_state_directory_does_not_serve_beside_one(
    home: Home, elsewhere: dict[str, str]
) -> None:
    """It would hand out what was locked here, and not be found."""
    home.log_in(URL, SECRET)
    for command in (("token", URL), ("list",), ("lock",)):
        said = home.refused(*command, **elsewhere)
        assert "serves" in said
        assert "set XDG_STATE_HOME as that agent has it" in said
    assert home.answer("agent", "status", **elsewhere)["running"] is False
    code = f"import keyring; print(keyring.get_password('{URL}', 'alice'))"
    tool = home.run(sys.executable, "-c", code, **elsewhere)
    assert tool.stdout == "None\n"
    assert tool.stderr.count("set XDG_STATE_HOME as that agent has it") == 1
    pid = home.agent_pid()
    assert pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_running(pid))
    home.done("agent", "start", **elsewhere)  # the lock ends with its agent, however that ends
    assert "set XDG_STATE_HOME" in home.refused("token", URL)
    home.done("agent", "stop", **elsewhere)


def test_of_two_agents_from_before_the_directory_one_goes_on(
    home: Home, elsewhere: dict[str, str]
) -> None:
    for variables in {}, elsewhere:
        home.done("agent", "start", **variables)
    home.log_in(URL, SECRET)

    def running() -> list[bool]:
        return [home.answer("agent", "status", **more)["running"] for more in ({}, elsewhere)]

    until(lambda: running().count(True) == 1)
    for variables in {}, elsewhere:
        home.auth("agent", "stop", **variables)
