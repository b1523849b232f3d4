"""When a relay ends, when it forgets, and what keeps an agent from being replaced."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.inspection.processes import is_running, relays
from support.runs import folder_of_runs
from support.terminal import Typist
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.runs import Publisher

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="relays exist on Linux alone")

ON_ORDER = """
import time, urllib.error, urllib.request
for line in sys.stdin:
    try:
        said = urllib.request.urlopen(os.environ["PIP_INDEX_URL"]).status, ""
    except urllib.error.HTTPError as error:
        said = error.code, error.read().decode().strip()
    except OSError as error:
        said = 0, type(error).__name__
    print(*said, flush=True)
"""


class Reader:
    """A command that reads from the index when it is told to."""

    def __init__(self, publisher: Publisher, *options: str) -> None:
        command = [publisher.script("pip", ON_ORDER), "install"]
        self._process = subprocess.Popen(
            [PROGRAMS / "auth", "exec", "--relay", "--index", "corp", *options, "--", *command],
            cwd=publisher.home.path,
            env=publisher.home.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.reads() == "200"

    @property
    def pid(self) -> int:
        return self._process.pid

    def reads(self) -> str:
        """Have it read once, and return what it got."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def ends(self) -> str:
        """Let it end, and return what stands on its stderr."""
        return self._process.communicate()[1]

    def killed(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def reader(publisher: Publisher) -> Iterator[Reader]:
    it = Reader(publisher)
    yield it
    it.killed()


def relay_of(publisher: Publisher) -> int:
    """Return the process of the one relay."""
    pid = publisher.home.agent_pid()
    assert pid is not None
    (relay,) = relays(pid)
    return relay


def test_a_relay_ends_with_its_command_and_leaves_no_file(
    publisher: Publisher, reader: Reader
) -> None:
    relay = relay_of(publisher)
    reader.ends()
    until(lambda: not is_running(relay))
    until(lambda: not list(folder_of_runs(publisher.home).iterdir()))
    assert publisher.home.answer("status")["runs"] == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_relay_ends_with_a_command_that_is_killed(
    publisher: Publisher, reader: Reader, number: int
) -> None:
    relay = relay_of(publisher)
    os.kill(reader.pid, number)
    until(lambda: not is_running(relay))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_relay_ends_with_its_agent(publisher: Publisher, reader: Reader, number: int) -> None:
    relay, agent = relay_of(publisher), publisher.home.agent_pid()
    assert agent is not None
    os.kill(agent, number)
    until(lambda: not is_running(relay))
    assert reader.reads().startswith("0 ")


def test_a_lock_ends_every_relay_and_says_so(publisher: Publisher, reader: Reader) -> None:
    relay = relay_of(publisher)
    publisher.home.done("lock")
    assert not is_running(relay)  # the lock waits for that
    assert reader.reads().startswith("0 ")
    publisher.home.done("unlock")
    assert reader.reads().startswith("0 ")
    assert "tokenward: the relay of this run has ended: the vault was locked" in reader.ends()


def test_an_automatic_lock_makes_a_relay_forget_until_the_vault_is_open(
    publisher: Publisher, reader: Reader
) -> None:
    home = publisher.home
    publisher.rules('lock-after-idle = "1s"\n')
    until(lambda: home.vault()["state"] == "closed")
    publisher.rules("")
    until(lambda: home.answer("status")["locks"]["idle"] is None)
    assert reader.reads() == "403 tokenward: the vault is locked (hint: `auth unlock`)"
    assert home.vault()["state"] == "closed"  # a run opens no vault
    home.done("unlock")
    assert reader.reads() == "200"


def test_an_upload_that_waits_at_a_lock_is_refused(publisher: Publisher) -> None:
    """The yes comes after the lock."""
    publisher.asking()
    publisher.askpass(before="touch $HOME/asking; while [ ! -e $HOME/go ]; do sleep 0.05; done")
    tool = publisher.twine()
    run = publisher.started(tool, "upload", publisher.wheel(), DISPLAY=":7")
    until((publisher.home.path / "asking").exists)
    publisher.home.done("lock")
    (publisher.home.path / "go").touch()
    assert run.communicate()[0].startswith("0 ")
    assert publisher.index.uploads == []
    assert publisher.lines("published") == []


def test_an_upload_that_is_being_sent_at_a_lock_is_recorded_as_unknown(
    publisher: Publisher,
) -> None:
    publisher.index.go.clear()
    run = publisher.started(publisher.twine(), "upload", publisher.wheel())
    assert publisher.index.arrived.wait(60)
    publisher.home.done("lock")
    (line,) = publisher.lines("published")
    assert line["status"] == "unknown"
    assert run.communicate()[0].startswith("0 ")


def test_a_relay_ends_after_its_time(publisher: Publisher) -> None:
    reader = Reader(publisher, "--ttl", "12s")
    (run,) = publisher.home.answer("status")["runs"]
    assert run["ends"] > run["started"]
    relay = relay_of(publisher)
    until(lambda: not is_running(relay))
    assert reader.reads().startswith("0 ")
    assert "has ended: its time is over" in reader.ends()


def test_status_shows_what_each_run_may_do(publisher: Publisher) -> None:
    reader = Reader(publisher, "--project", "mine", "--project", "other")
    try:
        (run,) = publisher.home.answer("status")["runs"]
        assert (run["program"], run["pid"]) == ("pip", reader.pid)
        assert (run["indexes"], run["projects"]) == (2, ["mine", "other"])
        shown = publisher.home.done("status")
        assert re.search(rf"runs\n  pip \(pid {reader.pid}\) .*may publish mine and other", shown)
    finally:
        reader.killed()


def test_an_agent_with_a_run_is_not_replaced(publisher: Publisher, reader: Reader) -> None:
    from tokenward.services import is_asleep
    from tokenward.settings.effective import settings_here
    from tokenward.transport.connect import connect

    def is_replaceable() -> object:
        environ = publisher.home.environment
        directory = settings_here(environ).directories.credentials
        with connect(directory, start=False, asleep=is_asleep, environ=environ) as agent:
            return agent.greeting["replaceable"]

    assert is_replaceable() is False
    reader.ends()
    until(lambda: is_replaceable() is True)


def test_stopping_the_agent_says_how_many_runs_end(publisher: Publisher, reader: Reader) -> None:
    said = publisher.home.said("agent", "stop")
    assert f"pip (pid {reader.pid}) loses its relay" in said
    assert "This ends 1 run of `auth exec`." in said
    assert reader.reads().startswith("0 ")


@pytest.mark.parametrize(("answer", "status"), [("n", 2), ("y", 0)])
@pytest.mark.parametrize("action", ["stop", "restart"])
def test_on_a_terminal_ending_the_agent_needs_a_yes(
    publisher: Publisher, reader: Reader, action: str, answer: str, status: int
) -> None:
    person = Typist(publisher.home, "agent", action)
    person.answers("End the agent? [y/N]", answer).leaves(status)
    assert reader.reads().startswith("0 " if answer == "y" else "200")


def test_a_reload_ends_every_relay_as_a_lock_does(publisher: Publisher) -> None:
    """A service manager's reload is `auth lock`."""
    home = publisher.home
    home.done("agent", "stop")
    place = str(home.path / "notices")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(place)
        agent = subprocess.Popen(
            [PROGRAMS / "tokenward-agent"], env=home.environment | {"NOTIFY_SOCKET": place}
        )
        try:
            until(lambda: home.agent_pid() == agent.pid)
            reader = Reader(publisher)
            try:
                agent.send_signal(signal.SIGHUP)
                until(lambda: home.answer("status")["locked"])
                assert home.answer("status")["runs"] == []
                assert reader.reads().startswith("0 ")
                assert "has ended: the vault was locked" in reader.ends()
            finally:
                reader.killed()
        finally:
            agent.terminate()
            agent.wait()
