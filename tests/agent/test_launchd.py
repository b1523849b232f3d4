"""The sockets that launchd hands over, by the call itself: against a double of it in C."""

from __future__ import annotations

import ctypes
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tokenward_agent.inherited import InheritedError, by_launchd, taken
from tokenward_agent.launchd import descriptors

if TYPE_CHECKING:
    from collections.abc import Callable

    Load = Callable[..., ctypes.CDLL]

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
        assert descriptors(library) == [one.fileno(), other.fileno()]
        assert ctypes.c_int.in_dll(library, "handed").value == 0
        with pytest.raises(InheritedError, match=r"not handed over by launchd: .* already"):
            by_launchd(library)


def test_on_macos_it_is_what_was_handed_over(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        library = load(sock)
        monkeypatch.setattr(sys, "platform", "darwin")
        monkeypatch.setattr(ctypes, "CDLL", lambda _name: library)
        handed = taken({})
        assert handed is not None
        assert handed.detach() == sock.fileno()
        assert not sock.get_inheritable()


def test_a_process_that_launchd_did_not_start_has_none(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = load()
    monkeypatch.delenv("LAUNCHD_SOCKETS")
    assert descriptors(library) == []


def test_a_job_without_a_socket_of_that_name_has_none(load: Load) -> None:
    assert descriptors(load(), b"Other") == []
