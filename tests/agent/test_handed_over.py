"""An agent that gets its socket from somebody else: by systemd's protocol, without its manager."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from support.agents.in_process import ManualClock
from support.agents.process import NotDone, Wire
from support.waiting import PATIENCE, until
from tokenward_agent.service_manager import (
    IdleExit,
    InheritedError,
    Notices,
    is_listening,
    take_socket,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tokenward_agent.wire.server import Server

ACTIVATE = "/usr/bin/systemd-socket-activate"
needs_activate = pytest.mark.skipif(
    shutil.which(ACTIVATE) is None, reason="needs the Debian package systemd"
)

COMMAND = [sys.executable, "-I", "-m", "tokenward_agent"]

HAND_OVER = """
import os, sys
number = int(sys.argv[1])
if number != 3:
    os.dup2(number, 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=sys.argv[2])
os.execv(sys.argv[3], sys.argv[3:])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir(mode=0o700)
    return tmp_path


def environment(home: Path, **more: str) -> dict[str, str]:
    places = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run"), "PATH": os.defpath}
    return places | more


@contextmanager
def handed(
    home: Path, sock: socket.socket, count: str = "1", **more: str
) -> Iterator[subprocess.Popen[str]]:
    """Start an agent that is handed `sock`, as a manager does it."""
    number = str(sock.fileno())
    process = subprocess.Popen(
        [sys.executable, "-c", HAND_OVER, number, count, *COMMAND],
        env=environment(home, **more),
        pass_fds=[sock.fileno()],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def connected(path: Path) -> Wire | None:
    """Return a connection, None as long as the socket does not listen: it is bound before that."""
    try:
        return Wire(path)
    except (FileNotFoundError, ConnectionRefusedError):
        return None


def listening(path: Path) -> socket.socket:
    found = socket.socket(socket.AF_UNIX)
    found.bind(str(path))
    found.listen()
    return found


@needs_activate
def test_it_serves_the_socket_whatever_its_name_and_mode_and_leaves_it_there(folder: Path) -> None:
    path = folder / "any.sock"
    process = subprocess.Popen(
        [
            *(ACTIVATE, f"--listen={path}", "--fdname=whatever"),
            *(f"--setenv={name}={value}" for name, value in environment(folder).items()),
            *("--setenv=TOKENWARD_IDLE_EXIT=1s", *COMMAND),
        ],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wire = until(lambda: connected(path))
        assert wire is not None
        status = wire.ask("status")
        assert (status["socket"], status["pid"]) == (str(path), process.pid)
        assert path.stat().st_mode & 0o077
        wire.close()
        assert process.wait(PATIENCE) == 0
        assert path.is_socket()
    finally:
        process.kill()
        process.wait()


def test_whoever_waits_at_an_address_that_cannot_be_served_is_told_why(folder: Path) -> None:
    """Else the manager, which sees them wait, would start one agent after the other."""
    with listening(folder / "agent.sock") as sock:
        waiting = Wire(folder / "agent.sock")
        with handed(folder, sock, TOKENWARD_DIR="not/absolute") as process:
            with pytest.raises(NotDone, match="is not an absolute path"):
                _unasked(waiting)
            assert process.wait(PATIENCE) == 2
        waiting.close()


def _unasked(wire: Wire) -> None:
    header, _ = wire.answer()
    raise NotDone(header)


def test_more_than_one_descriptor_is_refused(folder: Path) -> None:
    with listening(folder / "agent.sock") as sock, handed(folder, sock, count="2") as process:
        _, said = process.communicate(timeout=PATIENCE)
    assert said == (
        "tokenward-agent: The service manager handed over 2 descriptors instead of one.\n"
    )
    assert process.returncode == 2


def test_what_is_no_unix_stream_socket_is_refused(folder: Path) -> None:
    with socket.socket(socket.AF_INET) as sock, handed(folder, sock) as process:
        _, said = process.communicate(timeout=PATIENCE)
    assert "is not a Unix stream socket" in said


def test_a_connected_socket_is_a_job_and_done_for_nobody_but_the_agents_unit(folder: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, handed(folder, theirs) as process:
        theirs.close()
        assert process.wait(PATIENCE) == 2
        assert ours.recv(1) == b""


def test_what_is_meant_for_another_process_is_left_alone() -> None:
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x", "HOME": "/"}
    assert take_socket(environ) is None
    assert environ == {"HOME": "/"}


def test_a_count_that_is_none_is_told() -> None:
    environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "many"}
    with pytest.raises(InheritedError, match="many descriptors"):
        take_socket(environ)


def test_a_socket_that_accepts_is_told_from_one_that_does_not(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, listening(tmp_path / "x.sock") as listener:
        assert (is_listening(listener), is_listening(ours)) == (True, False)


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_the_manager_is_told_at_its_socket_of_whichever_kind(
    tmp_path: Path, *, abstract: bool
) -> None:
    name = f"@tokenward-{os.getpid()}" if abstract else str(tmp_path / "notify")
    environ = {"NOTIFY_SOCKET": name}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0") if abstract else name)
        manager.settimeout(PATIENCE)
        notices = Notices(environ)
        assert environ == {}
        notices.send_ready()
        notices.send_status("locked")
        notices.send_status("locked")
        notices.send_reloading()
        assert [manager.recv(99) for _ in range(2)] == [b"READY=1", b"STATUS=locked"]
        assert manager.recv(99).startswith(b"RELOADING=1\nMONOTONIC_USEC=")


def test_a_manager_that_is_gone_or_was_never_there_stops_nothing(tmp_path: Path) -> None:
    for environ in ({"NOTIFY_SOCKET": str(tmp_path / "gone")}, {"NOTIFY_SOCKET": ""}, {}):
        Notices(dict(environ)).send_ready()


class Visited:
    """What is asked of a server."""

    def __init__(self) -> None:
        self.has_connections = False
        self.came = 0


def quiet(
    visited: Visited, clock: ManualClock, seconds: int | None, *, expendable: bool
) -> IdleExit:
    server: Server = visited  # type: ignore[assignment]  # these two are all that it looks at
    return IdleExit(seconds, server, clock, lambda: expendable)


def test_an_agent_ends_after_so_long_without_anybody() -> None:
    visited, clock = Visited(), ManualClock()
    idle = quiet(visited, clock, 60, expendable=True)
    assert not idle.is_due()
    clock.pass_by(59)
    assert not idle.is_due()
    visited.came += 1  # and went, between two looks
    clock.pass_by(1)
    assert not idle.is_due()
    visited.has_connections = True
    clock.pass_by(3600)
    assert not idle.is_due()
    visited.has_connections = False
    clock.pass_by(60)
    assert idle.is_due()


@pytest.mark.parametrize(("seconds", "expendable"), [(None, True), (60, False)])
def test_it_stays_where_nothing_is_set_or_something_would_be_lost(
    seconds: int | None, *, expendable: bool
) -> None:
    clock = ManualClock()
    idle = quiet(Visited(), clock, seconds, expendable=expendable)
    idle.is_due()
    clock.pass_by(3600)
    assert not idle.is_due()
