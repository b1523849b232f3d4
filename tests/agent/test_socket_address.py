"""The agent's socket and where its files lie: ours alone, one agent, nothing of others touched."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.inspection.processes import own_descriptors
from support.waiting import PATIENCE
from tokenward_agent import settings
from tokenward_agent.settings import SettingsError
from tokenward_agent.wire.listener import AlreadyRunning, ListenAddressError
from tokenward_agent.wire.socket_address import SocketAddress, runtime_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = os.geteuid() == 0


@pytest.fixture
def run() -> Iterator[Path]:
    """A directory with a name that is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="tw") as name:
        yield Path(name)


def test_a_socket_is_ours_alone_and_goes_with_its_owner(run: Path) -> None:
    path = run / "new" / "agent.sock"
    address = SocketAddress(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert address.is_valid()
    address.release()
    assert not path.exists()


def test_a_second_agent_finds_the_first_and_leaves_it_alone(run: Path) -> None:
    path = str(run / "agent.sock")
    first = SocketAddress(path)
    with pytest.raises(AlreadyRunning):
        SocketAddress(path)
    assert first.is_valid()
    first.release()
    SocketAddress(path).release()


def test_a_connection_is_held_from_the_moment_the_address_is_taken(run: Path) -> None:
    path = str(run / "agent.sock")
    address = SocketAddress(path)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
    address.release()


def test_a_stale_socket_is_removed(run: Path) -> None:
    path = run / "agent.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    SocketAddress(str(path)).release()
    assert not path.exists()


def test_a_socket_that_somebody_answers_stays_even_without_its_lock(run: Path) -> None:
    path = run / "agent.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen(1)
        with pytest.raises(AlreadyRunning):
            SocketAddress(str(path))
        assert path.is_socket()


def test_a_socket_whose_queue_is_full_counts_as_answered(run: Path) -> None:
    path = run / "agent.sock"
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(path))
        busy.listen(0)
        waiting = []
        try:
            for _ in range(3):
                client = socket.socket(socket.AF_UNIX)
                client.setblocking(False)
                waiting.append(client)
                client.connect(str(path))
        except BlockingIOError:
            pass
        with pytest.raises(AlreadyRunning):
            SocketAddress(str(path))
        for client in waiting:
            client.close()


def test_what_is_no_socket_is_left_alone(run: Path) -> None:
    for make in (Path.touch, Path.mkdir, os.mkfifo):
        path = run / f"{make.__name__}.sock"
        make(path)
        with pytest.raises(ListenAddressError, match="is not a socket; move it elsewhere"):
            SocketAddress(str(path))
        assert path.exists()


def test_no_link_is_followed(run: Path) -> None:
    target = run / "elsewhere"
    target.mkdir(mode=0o700)
    (run / "linked").symlink_to(target)
    with pytest.raises(ListenAddressError, match="is not a directory"):
        SocketAddress(str(run / "linked" / "agent.sock"))
    (target / "agent.sock").symlink_to(run / "victim")
    with pytest.raises(ListenAddressError, match="is not a socket"):
        SocketAddress(str(target / "agent.sock"))
    (target / "other.sock.lock").symlink_to(run / "victim")
    with pytest.raises(ListenAddressError, match=r"lock file .* cannot be opened"):
        SocketAddress(str(target / "other.sock"))
    assert not (run / "victim").exists()
    assert (target / "agent.sock").is_symlink()


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777])
def test_a_directory_that_is_open_to_others_is_refused_with_the_command_that_mends_it(
    mode: int, run: Path
) -> None:
    run.chmod(mode)
    with pytest.raises(ListenAddressError, match=f"run `chmod 700 {run}`"):
        SocketAddress(str(run / "agent.sock"))
    assert not list(run.iterdir())


@pytest.mark.root("gives a directory away")
def test_a_directory_of_another_user_is_refused(run: Path) -> None:
    os.chown(run, 12345, 12345)
    with pytest.raises(ListenAddressError, match="belongs to another user"):
        SocketAddress(str(run / "agent.sock"))


def test_a_path_too_long_for_a_socket_is_refused_with_what_helps(run: Path) -> None:
    long = run / ("x" * 100)
    with pytest.raises(ListenAddressError, match="set XDG_RUNTIME_DIR to a shorter directory"):
        SocketAddress(str(long / "agent.sock"))
    assert not long.exists()


def test_a_socket_that_was_replaced_is_not_removed_at_the_end(run: Path) -> None:
    path = run / "agent.sock"
    address = SocketAddress(str(path))
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        assert not address.is_valid()
        address.release()
        assert path.is_socket()


def test_a_refused_address_leaves_no_descriptor_behind(run: Path) -> None:
    (run / "agent.sock").mkdir()
    before = own_descriptors()
    for _ in range(5):
        with pytest.raises(ListenAddressError):
            SocketAddress(str(run / "agent.sock"))
    assert own_descriptors() == before


def test_the_first_usable_runtime_directory_is_taken(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = run / "state"
    (run / "xdg").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(run / "xdg"))
    assert runtime_directory(str(state)) == str(run / "xdg" / "tokenward")
    (run / "xdg" / "tokenward").chmod(0o755)
    assert runtime_directory(str(state)) != str(run / "xdg" / "tokenward")


# What an agent is told at its start.


@pytest.fixture
def environ(run: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name.startswith(("XDG_", "TOKENWARD_")):
            monkeypatch.delenv(name)
    (run / "home").mkdir()
    monkeypatch.setenv("HOME", str(run / "home"))
    (run / "xdg").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(run / "xdg"))
    return monkeypatch


@pytest.mark.skipif(sys.platform != "linux", reason="the places of Linux")
def test_without_options_everything_lies_where_the_user_keeps_such_things(
    run: Path, environ: pytest.MonkeyPatch
) -> None:
    found = settings.read_settings(settings.parser().parse_args([]))
    assert found.directory == str((run / "home/.local/share/tokenward").resolve())
    assert Path(found.state).parent == (run / "home/.local/state/tokenward").resolve()
    assert found.socket == str(run / "xdg/tokenward/agent.sock")
    assert stat.S_IMODE(Path(found.state).stat().st_mode) == 0o700


def test_another_directory_is_another_profile(run: Path, environ: pytest.MonkeyPatch) -> None:
    ordinary = settings.read_settings(settings.parser().parse_args([]))
    environ.setenv("TOKENWARD_DIR", str(run / "other"))
    other = settings.read_settings(settings.parser().parse_args([]))
    assert other.directory == str((run / "other").resolve())
    assert other.socket != ordinary.socket
    assert other.state != ordinary.state
    (run / "link").symlink_to(run / "other")
    again = settings.read_settings(settings.parser().parse_args(["--directory", str(run / "link")]))
    assert (again.socket, again.state) == (other.socket, other.state)


@pytest.mark.parametrize(
    ("variable", "argv"),
    [
        ("TOKENWARD_DIR", []),
        ("TOKENWARD_SOCK", []),
        ("X", ["--directory", "relative"]),
        ("X", ["--socket", "relative"]),
    ],
)
def test_a_path_that_is_not_absolute_is_refused(
    variable: str, argv: list[str], environ: pytest.MonkeyPatch
) -> None:
    environ.setenv(variable, "relative")
    with pytest.raises(SettingsError, match="relative is not an absolute path"):
        settings.read_settings(settings.parser().parse_args(argv))


def test_a_missing_home_is_looked_up(environ: pytest.MonkeyPatch) -> None:
    environ.delenv("HOME")
    assert Path(settings._home()).is_absolute()
    environ.setenv("HOME", "relative")
    assert Path(settings._home()).is_absolute()


def test_a_state_directory_that_cannot_be_had_is_a_sentence(
    run: Path, environ: pytest.MonkeyPatch
) -> None:
    (run / "file").touch()
    for state in (run / "file", run / "file" / "below"):
        with pytest.raises((SettingsError, ListenAddressError), match=r"file.*\.$"):
            settings.read_settings(settings.parser().parse_args(["--state", str(state)]))


@pytest.mark.parametrize(
    "argv", [["--directory", "relative"], ["--socket", "/nonexistent/deep/agent.sock"]]
)
def test_what_is_wrong_at_the_start_is_one_sentence_and_exit_code_2(
    argv: list[str], run: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-m", "tokenward_agent", *argv, "--state", str(run / "state")],
        env={"HOME": str(run), "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("tokenward-agent: The ")
    assert done.stderr.count("\n") == 1
