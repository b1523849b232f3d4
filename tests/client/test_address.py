"""Where the client looks for the agent, and what it will not take for a private directory."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from tokenward.errors import AgentAbsent, AgentUnreachable
from tokenward.transport import unix
from tokenward.transport.unix import open_stream
from tokenward_os.user import home
from tokenward_protocol import places

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")


def private(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True)
    return path


def looked_up(base: Path, state: Path) -> str | None:
    return unix.runtime_directory({"XDG_RUNTIME_DIR": str(base)}, str(state))


def test_a_private_directory_is_taken(tmp_path: Path) -> None:
    found = private(tmp_path / "tokenward")
    assert looked_up(tmp_path, tmp_path / "state") == str(found)


def test_a_link_to_a_private_directory_is_not(tmp_path: Path) -> None:
    private(tmp_path / "elsewhere")
    (tmp_path / "tokenward").symlink_to("elsewhere")
    assert not unix.is_private(str(tmp_path / "tokenward"))


@pytest.mark.parametrize("mode", [0o755, 0o701, 0o770, 0o500, 0o1700])
def test_a_directory_of_another_mode_is_not(tmp_path: Path, mode: int) -> None:
    private(tmp_path / "tokenward").chmod(mode)
    assert not unix.is_private(str(tmp_path / "tokenward"))


@pytest.mark.root("gives a directory away")
def test_a_directory_of_another_user_is_not(tmp_path: Path) -> None:
    os.chown(private(tmp_path / "tokenward"), 4242, 4242)
    assert not unix.is_private(str(tmp_path / "tokenward"))


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "tokenward").touch(mode=0o700)
    assert not unix.is_private(str(tmp_path / "tokenward"))


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the machine's own /run/user: only what the environment and the state say."""
    everything = places.runtime_directories
    monkeypatch.setattr(
        places,
        "runtime_directories",
        lambda *given: [p for p in everything(*given) if not p.startswith("/run/user/")],
    )


@pytest.mark.usefixtures("alone")
def test_an_unusable_directory_is_passed_over_for_the_one_in_the_state(tmp_path: Path) -> None:
    private(tmp_path / "tokenward").chmod(0o755)
    state = tmp_path / "state"
    assert looked_up(tmp_path, state) is None
    run = private(state / "run")
    assert looked_up(tmp_path, state) == str(run)


@pytest.mark.usefixtures("alone")
def test_looking_makes_nothing(tmp_path: Path) -> None:
    assert looked_up(tmp_path, tmp_path / "state") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("alone")
def test_starting_makes_the_first_directory_whose_parent_is_ours(tmp_path: Path) -> None:
    state = tmp_path / "state"
    made = unix.make_runtime_directory({"XDG_RUNTIME_DIR": str(tmp_path)}, str(state))
    assert made == str(tmp_path / "tokenward")
    assert stat.S_IMODE((tmp_path / "tokenward").stat().st_mode) == 0o700
    assert not state.exists()


@pytest.mark.usefixtures("alone")
def test_without_a_runtime_directory_one_is_made_in_the_state_directory(tmp_path: Path) -> None:
    state = tmp_path / "deep" / "state"
    made = unix.make_runtime_directory({"XDG_RUNTIME_DIR": str(tmp_path / "gone")}, str(state))
    assert made == f"{state}/run"
    assert stat.S_IMODE((state / "run").stat().st_mode) == 0o700


@pytest.mark.usefixtures("alone")
def test_where_none_can_be_made_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    assert unix.make_runtime_directory({}, str(tmp_path / "state")) is None


def test_home_is_the_variable_if_it_is_absolute_else_what_the_system_knows() -> None:
    assert home({"HOME": "/h"}) == "/h"
    assert home({"HOME": "h"}) == home({})
    assert Path(home({}) or "").is_absolute()


def test_a_path_too_long_for_a_socket_is_said(tmp_path: Path) -> None:
    with pytest.raises(AgentUnreachable, match="too long") as caught:
        open_stream(str(tmp_path / ("x" * 120)))
    assert "XDG_RUNTIME_DIR" in caught.value.hint


@pytest.mark.parametrize("there", ["nothing", "a stale socket", "a file"])
def test_where_nobody_listens_the_agent_is_absent(tmp_path: Path, there: str) -> None:
    path = tmp_path / "s"
    if there == "a stale socket":
        import socket

        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))
    if there == "a file":
        path.touch()
    with pytest.raises(AgentAbsent):
        open_stream(str(path))
