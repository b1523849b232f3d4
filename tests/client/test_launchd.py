"""The launch agent that is written for a user, and what launchd is told, to install and to undo it.

`launchctl` is a double; the property list is held to the keys and types of launchd.plist(5).
"""

from __future__ import annotations

import os
import plistlib
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tokenward.errors import CommandError
from tokenward.services.launchd import LABEL, Launchd, find_manager, property_list
from tokenward.services.manager import Job
from tokenward.transport import unix

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")

ROOT = Path(__file__).resolve().parents[2]
DOUBLE = ROOT / "tests" / "support" / "systems" / "launchctl_double.py"
KEYS: dict[str, Any] = {
    "Label": str,
    "ProgramArguments": [str],
    "Sockets": {"Listener": {"SockType": str, "SockPathName": str, "SockPathMode": int}},
    "RunAtLoad": bool,
    "LimitLoadToSessionType": str,
    "ProcessType": str,
    "ThrottleInterval": int,
    "EnvironmentVariables": {str: str},
    "Umask": int,
    "SoftResourceLimits": {"Core": int},
    "HardResourceLimits": {"Core": int},
}
"""What launchd.plist(5) has for the keys that we use; `{str: str}` has keys of its own."""


class Stage:
    """A home, a folder for the socket, and a launchd with one user's jobs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "launchd"
        self.state.mkdir()
        self.program = folder / "launchctl"
        self.program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{DOUBLE}" "$@"\n')
        self.program.chmod(0o700)
        self.path = folder / "Library" / "LaunchAgents" / f"{LABEL}.plist"
        self.socket = folder / "agent.sock"
        self.job = Job(
            ["/opt/py thon/bin/python", "-I", "-m", "tokenward_agent"],
            str(self.socket),
            {"TOKENWARD_DIR": "/Users/ann/a & b <c>"},
        )

    def manager(self) -> Launchd:
        manager = find_manager({"HOME": str(self.folder)}, str(self.program))
        assert manager is not None
        return manager

    def told(self) -> list[str]:
        """Return what launchd was told, questions left out."""
        said = (self.state / "words").read_text().splitlines()
        return [line for line in said if not line.startswith("print ")]

    def connects(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self.socket)) == 0


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    it = Stage(tmp_path)
    monkeypatch.setenv("LAUNCHCTL_STATE", str(it.state))
    yield it
    it.manager().uninstall()


def fits(value: object, wanted: Any) -> bool:
    """Tell whether a property is of its key's type, with no key that is not known."""
    if isinstance(wanted, dict) and str in wanted:
        return isinstance(value, dict) and all(type(v) is str for v in value.values())
    if isinstance(wanted, dict):
        return (
            isinstance(value, dict)
            and set(value) <= set(wanted)
            and all(fits(value[key], wanted[key]) for key in value)
        )
    if isinstance(wanted, list):
        return isinstance(value, list) and all(type(v) is wanted[0] for v in value)
    return type(value) is wanted


@pytest.mark.parametrize("session", ["Aqua", "Background"])
def test_the_launch_agent_has_known_keys_of_the_right_types(stage: Stage, session: str) -> None:
    agent = plistlib.loads(property_list(stage.job, session))
    assert fits(agent, KEYS)
    assert set(agent) == set(KEYS)
    assert agent["Label"] == LABEL
    assert agent["ProgramArguments"] == stage.job.command
    assert agent["Sockets"]["Listener"]["SockPathName"] == stage.job.socket
    assert agent["Sockets"]["Listener"]["SockPathMode"] == 0o600
    assert agent["Umask"] == 0o077
    assert agent["EnvironmentVariables"].items() > stage.job.variables.items()
    assert agent["LimitLoadToSessionType"] == session
    assert not agent["RunAtLoad"]


@pytest.mark.parametrize(
    "wrong", [{"KeepAlive": True}, {"Umask": "077"}, {"RunAtLoad": 0}, {"ProgramArguments": [1]}]
)
def test_another_key_or_type_is_found(stage: Stage, wrong: dict[str, object]) -> None:
    agent = plistlib.loads(property_list(stage.job, "Aqua"))
    assert not fits(agent | wrong, KEYS)


@pytest.mark.macos
def test_plutil_finds_nothing(stage: Stage) -> None:
    stage.path.parent.mkdir(parents=True)
    stage.path.write_bytes(property_list(stage.job, "Aqua"))
    subprocess.run(["plutil", "-lint", "-s", stage.path], check=True)


def test_what_no_property_list_can_hold_is_refused(stage: Stage) -> None:
    for path in ("/tmp/\x07", "/tmp/\udcff"):
        with pytest.raises(CommandError):
            property_list(Job(["/bin/true"], path, {}), "Aqua")


def test_installed_it_listens_and_undone_nothing_is_left(stage: Stage) -> None:
    manager = stage.manager()
    assert manager.service() is None
    assert manager.install(stage.job) == [str(stage.path)]
    assert stage.connects()
    service = manager.service()
    assert service is not None
    assert service == ([str(stage.path)], str(stage.socket), True, False)
    target = f"gui/{os.geteuid()}"
    assert stage.told() == [
        f"enable {target}/{LABEL}",
        f"bootstrap {target} {stage.path}",
    ]
    assert manager.uninstall() == [str(stage.path)]
    assert not stage.connects()
    assert not stage.path.parent.exists()
    assert manager.uninstall() == []


def test_installed_again_it_is_left_alone_and_another_address_replaces_it(stage: Stage) -> None:
    manager = stage.manager()
    manager.install(stage.job)
    assert manager.install(stage.job) == []
    assert len(stage.told()) == 2
    stage.socket = stage.folder / "other.sock"
    assert manager.install(stage.job._replace(socket=str(stage.socket))) == [str(stage.path)]
    assert stage.connects()


@pytest.fixture
def swept(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The runtime directory in the folder of temporary files, as an ended agent leaves it."""
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(os, "confstr", lambda _name: f"{stage.folder}/T/")
    folder = stage.folder / "T" / "tokenward"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "agent.sock.lock").touch()
    return folder


def test_clients_find_the_address_that_a_restart_leaves_alone(stage: Stage, swept: Path) -> None:
    state = str(stage.folder / "state")
    assert unix.make_runtime_directory({}, state) == str(swept)
    lasting = unix.lasting_directory({}, state)
    assert lasting == f"{state}/run"
    stage.manager().install(stage.job._replace(socket=f"{lasting}/agent.sock"))
    assert unix.runtime_directory({}, state) == lasting
    assert unix.make_runtime_directory({}, state) == lasting


def test_where_another_agent_serves_it_is_not_taken_away(stage: Stage, swept: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(swept / "other.sock"))
        (swept / "other.sock.lock").touch()
        with pytest.raises(CommandError, match="Agents of other directories"):
            stage.manager().install(stage.job)
        assert {path.name for path in swept.iterdir()} == {"other.sock", "other.sock.lock"}
        assert not stage.path.exists()


def test_a_socket_whose_folder_was_swept_away_does_not_listen(stage: Stage) -> None:
    manager = stage.manager()
    manager.install(stage.job)
    stage.socket.unlink()
    service = manager.service()
    assert service is not None
    assert not service.listening


def test_where_launchd_refuses_nothing_is_kept_and_the_reason_is_said(stage: Stage) -> None:
    stage.socket.touch()  # in the way
    with pytest.raises(CommandError, match=r"failed: Bootstrap failed: 5: Input/output error\.$"):
        stage.manager().install(stage.job)
    assert not stage.path.exists()


def test_a_property_list_of_somebody_else_stays(stage: Stage) -> None:
    stage.path.parent.mkdir(parents=True)
    stage.path.write_bytes(plistlib.dumps({"Label": LABEL}))
    with pytest.raises(CommandError, match="did not write it"):
        stage.manager().install(stage.job)
    with pytest.raises(CommandError, match="did not write it"):
        stage.manager().uninstall()
    assert plistlib.loads(stage.path.read_bytes()) == {"Label": LABEL}
    stage.path.unlink()


def test_without_a_graphical_session_the_job_is_the_users(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAUNCHCTL_DOMAINS", "user")
    stage.manager().install(stage.job)
    assert stage.told()[-1] == f"bootstrap user/{os.geteuid()} {stage.path}"
    agent = plistlib.loads(stage.path.read_bytes())
    assert agent["LimitLoadToSessionType"] == "Background"
    stage.manager().uninstall()


def test_without_launchd_there_is_no_manager(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_manager({}, str(stage.folder / "nothing")) is None
    with monkeypatch.context() as patch:
        patch.setenv("LAUNCHCTL_DOMAINS", "none")
        assert find_manager({}, str(stage.program)) is None
