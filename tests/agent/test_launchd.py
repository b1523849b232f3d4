"""The sockets that launchd hands over, by the call itself: against a double of it in C."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.agents.process import Wire
from support.waiting import PATIENCE
from tokenward_agent.service_manager import (
    InheritedError,
    activated_descriptors,
    sockets_of_launchd,
    take_socket,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Load = Callable[..., ctypes.CDLL]

AGENT = """
import sys, types
from tokenward_agent import service_manager
service_manager.sys = types.SimpleNamespace(platform="darwin")
from tokenward_agent.__main__ import main
sys.exit(main())
"""
SOURCE = Path(__file__).with_name("launchd_double.c")

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("gcc"), reason="needs gcc on Linux"
)


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Compile the double and load it afresh: for a job that has these sockets, or for no job."""

    def loaded(*sockets: socket.socket) -> ctypes.CDLL:
        library = tmp_path / "double.so"
        flags = ["-Wall", "-Wextra", "-Werror", "-fno-builtin", "-shared", "-fPIC"]
        subprocess.run(["gcc", *flags, "-o", library, SOURCE], check=True)
        numbers = [str(sock.fileno()) for sock in sockets]
        monkeypatch.setenv("LAUNCHD_SOCKETS", " ".join(numbers))
        return ctypes.CDLL(str(library))

    return loaded


def test_the_sockets_of_a_job_are_had_once_and_nothing_is_kept(load: Load) -> None:
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as other:
        library = load(one, other)
        assert activated_descriptors(library) == [one.fileno(), other.fileno()]
        assert ctypes.c_int.in_dll(library, "handed").value == 0
        with pytest.raises(InheritedError, match=r"does not hand over the socket: .* already"):
            sockets_of_launchd(library)


def test_on_macos_it_is_what_was_handed_over(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        library = load(sock)
        monkeypatch.setattr(sys, "platform", "darwin")
        monkeypatch.setattr(ctypes, "CDLL", lambda _name: library)
        handed = take_socket({})
        assert handed is not None
        assert handed.detach() == sock.fileno()
        assert not sock.get_inheritable()


def test_an_agent_that_is_a_job_serves_the_socket_and_leaves_it_there(
    load: Load, tmp_path: Path
) -> None:
    """All of it is the real agent; only where it asks for sockets is it told that this is macOS."""
    (tmp_path / "run").mkdir(mode=0o700)
    path = tmp_path / "listener.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        library = load(listener)
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", AGENT],
            env={
                "HOME": str(tmp_path),
                "LAUNCHD_SOCKETS": os.environ["LAUNCHD_SOCKETS"],
                "LD_PRELOAD": library._name,
                "TOKENWARD_IDLE_EXIT": "1s",
                "XDG_RUNTIME_DIR": str(tmp_path / "run"),
            },
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
        )
    try:
        wire = Wire(path)
        status = wire.ask("status")
        assert (status["socket"], status["pid"]) == (str(path), process.pid)
        wire.close()
        assert process.wait(PATIENCE) == 0
        assert path.is_socket()
    finally:
        process.kill()
        process.wait()


def test_a_process_that_launchd_did_not_start_has_none(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = load()
    monkeypatch.delenv("LAUNCHD_SOCKETS")
    assert activated_descriptors(library) == []


def test_a_job_without_a_socket_of_that_name_has_none(load: Load) -> None:
    assert activated_descriptors(load(), b"Other") == []
