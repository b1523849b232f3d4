"""A fetch as the policy sees it: what is known of a program, and when two are the same one."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import pytest

from tokenward_agent.asking.asker import Asker
from tokenward_agent.asking.peer import Peer
from tokenward_agent.asking.process import Process
from tokenward_agent.requests.case import Case
from tokenward_agent.vault.record import Record
from tokenward_agent.wire.request import Request

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON = "/usr/bin/python3"


@pytest.fixture
def peer() -> Iterator[Peer]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Peer(ours)


def case(peer: Peer, *argv: str, exe: str = PYTHON, cwd: str = "/home/ana") -> Case:
    """Return a fetch by a process that runs this."""
    process = Process(7, 1, 5, 0, "helper", exe=exe, cwd=cwd, argv=argv, whole=True)
    peer._asker = Asker.of((process,))
    request = Request("fetch", 1, "", {})
    request.peer = peer
    return Case(request, Record("https://h.example/", "ana", 0, None, None, None, None), ())


def test_a_program_that_cannot_be_read_is_not_known_by_the_name_that_it_has_itself(
    peer: Peer,
) -> None:
    assert case(peer, "helper", exe="/opt/helper").subject.tool == {"helper", "/opt/helper"}
    assert case(peer, "helper", exe="").subject.tool == frozenset()
    assert case(peer, "helper", exe="").who.program is None


@pytest.mark.parametrize(
    "argv", [("python3", "-c", "x"), ("python3", "-cx", "/b/twine"), ("python3",)]
)
def test_a_text_that_runs_is_never_the_same_program(peer: Peer, argv: tuple[str, ...]) -> None:
    assert case(peer, *argv).who.program is None
    assert case(peer, *argv).who.process == (7, 5)


def test_the_same_program_is_the_same_script_and_a_module_in_the_same_folder(peer: Peer) -> None:
    assert case(peer, "python3", "/b/twine").who.program == (PYTHON, "/b/twine")
    one = case(peer, "python3", "-m", "twine").who.program
    assert one is not None
    assert one != case(peer, "python3", "-m", "twine", cwd="/tmp").who.program


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel says who has which terminal")
def test_a_terminal_that_a_request_names_is_not_used(peer: Peer) -> None:
    asked = case(peer, "helper")
    asked._request.arguments["tty"] = "/dev/pts/99"
    assert asked.screen.tty == ""
