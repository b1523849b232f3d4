"""Starting an agent: what it is given, what it is not, and what its first word comes to.

In the agent's place stands a real process that writes down what it finds and says what a test
wants it to say.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from support.inspection.remote_debugging import is_deaf, needs_remote_exec
from tokenward.errors import AgentUnreachable
from tokenward.transport import autostart

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="posix_spawn")

STAND_IN = """\
#!{python} -I
import json, os, sys
ready = int(sys.argv[-1])
descriptors = []
for number in range(256):
    try:
        os.fstat(number)
    except OSError:
        continue
    descriptors.append(number)
found = {{
    "argv": sys.argv[1:],
    "environment": dict(os.environ),
    "descriptors": descriptors,
    "session": os.getsid(0) == os.getpid(),
    "stdin": os.read(0, 1).decode(),
}}
with open({seen!r}, "w") as file:
    json.dump(found, file)
sys.stderr.write("a word for the log\\n")
os.write(ready, {word!r})
"""


class StandIn:
    """A program in the interpreter's place; what it found is in `seen` afterwards."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._root = root
        self._monkeypatch = monkeypatch
        self.state = root / "state"

    def start(self, word: bytes, environ: dict[str, str] | None = None) -> str:
        program = self._root / "interpreter"
        program.write_text(
            STAND_IN.format(
                python=sys.executable,
                seen=str(self._root / "seen"),
                word=word,
            )
        )
        program.chmod(0o700)
        with self._monkeypatch.context() as patch:
            patch.setattr(sys, "executable", str(program))
            said = autostart.start("/creds", "/run/x/agent.sock", str(self.state), environ or {})
        if said == autostart.READY:
            os.waitpid(-1, 0)  # it has ended, and is our child as any agent is its starter's
        return said

    @property
    def seen(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self._root / "seen").read_text())
        return found


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return StandIn(tmp_path, monkeypatch)


def test_the_start_is_over_when_the_agent_says_that_it_serves(stand_in: StandIn) -> None:
    assert stand_in.start(b"ready\n") == autostart.READY


def test_another_agent_at_the_address_is_no_mistake(stand_in: StandIn) -> None:
    assert stand_in.start(b"running\n") == autostart.RUNNING


def test_the_agents_own_sentence_is_passed_on(stand_in: StandIn) -> None:
    with pytest.raises(AgentUnreachable) as caught:
        stand_in.start(b"error: The directory /x belongs to another user.\n")
    assert str(caught.value) == "The directory /x belongs to another user."


@pytest.mark.parametrize("word", [b"", b"read"])
def test_an_agent_that_ends_without_a_word_is_said_and_where_to_look(
    stand_in: StandIn, word: bytes
) -> None:
    with pytest.raises(AgentUnreachable, match="does not start") as caught:
        stand_in.start(word)
    assert str(stand_in.state / "agent.log") in caught.value.hint


def test_an_agent_that_says_nothing_in_time_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "interpreter"
    program.write_text("#!/bin/sh\necho $$ >" + str(tmp_path / "pid") + "\nexec sleep 600\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(autostart, "START_SECONDS", 0.5)
    with pytest.raises(AgentUnreachable, match="does not start"):
        autostart.start("/creds", "/x", str(tmp_path / "state"), {})
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_program_without_an_interpreter_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for missing in ("", None, str(tmp_path / "gone")):
        monkeypatch.setattr(sys, "executable", missing)
        with pytest.raises(AgentUnreachable, match="cannot be started"):
            autostart.start("/creds", "/x", str(tmp_path / "state"), {})


def test_the_agent_is_told_its_places_by_options_and_runs_isolated(stand_in: StandIn) -> None:
    stand_in.start(b"ready\n")
    argv = stand_in.seen["argv"]
    isolated = autostart.interpreter()[1:]
    assert isolated[0] == "-I"
    command, program, *options = argv[len(isolated) :]
    assert (argv[: len(isolated)], command) == (isolated, "-c")
    assert "tokenward_agent" in program
    assert options[:-1] == [
        *("--directory", "/creds"),
        *("--socket", "/run/x/agent.sock"),
        *("--state", str(stand_in.state)),
        "--ready-fd",
    ]


@needs_remote_exec
def test_the_agent_is_deaf_to_code_from_outside() -> None:
    assert is_deaf(autostart.interpreter())
    assert not is_deaf([sys.executable])


def test_it_gets_a_session_of_its_own_and_no_input(stand_in: StandIn) -> None:
    stand_in.start(b"ready\n")
    assert stand_in.seen["session"] is True
    assert stand_in.seen["stdin"] == ""


def test_no_descriptor_but_the_one_to_say_ready_on_is_inherited(stand_in: StandIn) -> None:
    ours, theirs = os.pipe()
    for end in (ours, theirs):
        os.set_inheritable(end, True)
    try:
        stand_in.start(b"ready\n")
    finally:
        os.close(ours)
        os.close(theirs)
    assert len(stand_in.seen["descriptors"]) == 4  # 0, 1, 2 and that one


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_it_can_be_told_on_whatever_descriptor_is_free(stand_in: StandIn, taken: int) -> None:
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(taken)]
    try:
        assert stand_in.start(b"ready\n") == autostart.READY
    finally:
        for each in held:
            os.close(each)


GIVEN = {
    "HOME": "/h",
    "USER": "u",
    "LOGNAME": "u",
    "PATH": "/bin",
    "LANG": "C.UTF-8",
    "LC_TIME": "C",
    "TZ": "UTC",
    "TMPDIR": "/tmp",
    "XDG_RUNTIME_DIR": "/r",
    "DBUS_SESSION_BUS_ADDRESS": "unix:path=/b",
    "DISPLAY": ":0",
    "WAYLAND_DISPLAY": "w",
    "XAUTHORITY": "/a",
    "TOKENWARD_DIR": "/d",
}
WITHHELD = {
    "UV_PUBLISH_TOKEN": "made-up",
    "AWS_SECRET_ACCESS_KEY": "made-up",
    "PYTHONPATH": "/evil",
    "LD_PRELOAD": "/evil.so",
    "SSH_AUTH_SOCK": "/s",
    "TOKENWARD_PASSPHRASE_FILE": "/p",
    "TOKENWARD_ASKPASS": "/p",
    "LCX": "x",
}


def test_of_the_environment_the_agent_gets_what_it_needs_and_no_more(stand_in: StandIn) -> None:
    stand_in.start(b"ready\n", GIVEN | WITHHELD)
    found = stand_in.seen["environment"]
    assert {name: found.get(name) for name in GIVEN} == GIVEN
    assert not set(found) & set(WITHHELD)


def test_what_goes_wrong_is_in_a_private_log_that_does_not_grow_for_ever(stand_in: StandIn) -> None:
    log = stand_in.state / "agent.log"
    for _ in range(2):
        stand_in.start(b"running\n")
    assert log.read_text() == "a word for the log\n" * 2
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    log.write_bytes(bytes(autostart.MAX_LOG + 1))
    stand_in.start(b"running\n")
    assert log.read_text() == "a word for the log\n"


def a_link(log: Path) -> None:
    log.symlink_to(log.with_name("target"))


def a_directory(log: Path) -> None:
    log.mkdir()


def a_fifo(log: Path) -> None:
    os.mkfifo(log)


@pytest.mark.parametrize("in_the_way", [a_link, a_directory, a_fifo])
def test_a_log_that_cannot_be_written_keeps_no_agent_from_starting(
    stand_in: StandIn, in_the_way: Callable[[Path], None]
) -> None:
    stand_in.state.mkdir()
    in_the_way(stand_in.state / "agent.log")
    assert stand_in.start(b"ready\n") == autostart.READY
    assert not (stand_in.state / "target").exists()


def test_no_process_is_left_unreaped_by_a_start_that_failed(stand_in: StandIn) -> None:
    before = set(psutil.Process().children())  # what other tests of this process have started
    stand_in.start(b"running\n")
    assert set(psutil.Process().children()) <= before
