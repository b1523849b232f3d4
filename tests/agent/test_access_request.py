"""A fetch as the policy sees it: what is known of a program, and when two are the same one."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import pytest

from tokenward_agent.peer.peer import Peer
from tokenward_agent.peer.process import Process
from tokenward_agent.peer.requester import Requester
from tokenward_agent.requests.access_request import AccessRequest
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


def case(peer: Peer, *argv: str, exe: str = PYTHON, cwd: str = "/home/ana") -> AccessRequest:
    """Return a fetch by a process that runs this."""
    process = Process(7, 1, 5, 0, "helper", exe=exe, cwd=cwd, argv=argv, whole=True)
    peer._requester = Requester.from_processes((process,))
    request = Request("fetch", 1, "", {})
    request.peer = peer
    return AccessRequest(
        request, Record("https://h.example/", "ana", 0, None, None, None, None), ()
    )


def test_a_program_that_cannot_be_read_is_not_known_by_the_name_that_it_has_itself(
    peer: Peer,
) -> None:
    assert case(peer, "helper", exe="/opt/helper").policy_input.tool == {"helper", "/opt/helper"}
    assert case(peer, "helper", exe="/opt/helper").policy_input.known
    assert not case(peer, "helper", exe="").policy_input.known
    assert case(peer, "helper", exe="").requester_key.program is None


TEXTS = [
    ("/usr/bin/python3.11", "python3 -c x"),
    ("/usr/bin/python3.11", "python3 -cx /b/twine"),
    ("/usr/bin/python3.11", "python3"),
    ("/usr/bin/python3.11", "python3 -"),
    ("/usr/bin/python3.11", "python3 /dev/fd/63"),
    ("/usr/bin/python3.11", "python3 -I /dev/stdin"),
    ("/usr/bin/python3.11", "python3 /proc/self/fd/11"),
    ("/usr/bin/python3.11", "python3 /proc/4711/fd/11"),
    ("/usr/bin/python3.11", "python3 /tmp/../dev/fd/63"),
    ("/usr/bin/bash", "bash -s"),
    ("/usr/bin/bash", "bash -eo pipefail"),
    ("/usr/bin/dash", "sh -ec x"),
    ("/usr/bin/perl", "perl -0777ne x"),
    ("/usr/bin/node", "node -pe x"),
    ("/memfd:twine (deleted)", "twine upload"),
]


@pytest.mark.parametrize(("exe", "line"), TEXTS)
def test_a_text_that_runs_is_never_the_same_program_nor_a_known_one(
    peer: Peer, exe: str, line: str
) -> None:
    asked = case(peer, *line.split(), exe=exe)
    assert asked.requester_key.program is None
    assert asked.requester_key.process is not None
    assert asked.requester_key.process[:2] == (7, 5)
    assert not asked.policy_input.known


@pytest.mark.parametrize(
    ("exe", "line"),
    [
        ("/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "ld.so /opt/helper"),
        ("/usr/bin/php8.2", "php x.php"),
        ("/usr/bin/lua5.4", "lua x.lua"),
        ("/usr/lib/jvm/java-17/bin/java", "java -jar x.jar"),
        ("/usr/bin/deno", "deno run x.ts"),
        ("/usr/bin/qemu-aarch64-static", "qemu-aarch64 /opt/helper"),
        ("/usr/bin/tclsh8.6", "tclsh x.tcl"),
        ("/opt/whatever", "whatever"),
        ("/usr/bin/python3.11 (deleted)", "python3 /b/twine"),
        ("/usr/bin/uv (deleted)", "uv publish"),
    ],
)
def test_what_may_be_an_interpreter_that_is_in_no_table_is_never_the_same_program(
    peer: Peer, exe: str, line: str
) -> None:
    assert case(peer, *line.split(), exe=exe).requester_key.program is None


@pytest.mark.parametrize("line", ["-m pdb", "-m coverage run", "/b/ipython", "/b/deploy.py -f"])
def test_what_a_script_may_run_in_its_turn_is_the_same_with_the_same_arguments_alone(
    peer: Peer, line: str
) -> None:
    one = case(peer, "python3", *line.split(), "a.py").requester_key.program
    assert one is not None
    assert one == case(peer, "python3", *line.split(), "a.py").requester_key.program
    assert one != case(peer, "python3", *line.split(), "b.py").requester_key.program
    assert one != case(peer, "python3", *line.split(), "a.py", cwd="/tmp").requester_key.program
    assert "a.py" not in str(one)


@pytest.mark.parametrize("line", ["/b/twine upload", "-m pip install", "/b/auth token"])
def test_a_known_tool_is_the_same_one_whatever_it_is_to_do(peer: Peer, line: str) -> None:
    one, other = (case(peer, "python3", *line.split(), more).requester_key.program for more in "xy")
    assert one == other
    assert one is not None


def test_a_process_that_has_become_another_program_is_another_one(peer: Peer) -> None:
    before, after = (
        case(peer, "uv", exe="/b/uv").requester_key,
        case(peer, "x", exe="/b/x").requester_key,
    )
    assert before.process != after.process
    assert before == case(peer, "uv", exe="/b/uv").requester_key
    assert before.program == ("/b/uv", "")


@pytest.mark.parametrize(
    ("exe", "line", "name"),
    [
        ("/lib64/ld-linux-x86-64.so.2", "ld.so /opt/helper x", "helper"),
        ("/usr/bin/php", "php ../y/helper.php", "helper.php"),
        ("/usr/bin/bash", "bash deploy.sh", "deploy.sh"),
        ("/usr/bin/python3", "python3 tool.py", "tool"),
        ("/usr/bin/bash", "bash -c .|./deploy.sh;twine", "deploy.sh"),
        ("/usr/bin/python3", "python3 -m pdb -c c helper.py", "helper"),
        ("/usr/bin/python3", "python3 /b/coverage run ./helper", "helper"),
    ],
)
def test_what_it_may_run_beside_is_told(peer: Peer, exe: str, line: str, name: str) -> None:
    assert name in case(peer, *line.split(), exe=exe).policy_input.hints


def test_what_is_known_by_its_whole_path_is_nothing_else(peer: Peer) -> None:
    assert case(peer, "python3", "/b/twine", "/x/helper").policy_input.hints == frozenset()
    assert (
        case(peer, "python3", "-m", "pip", "install", "./helper").policy_input.hints == frozenset()
    )
    assert case(peer, "uv", "publish", "dist/helper", exe="/b/uv").policy_input.hints == frozenset()


def test_the_same_program_is_the_same_script_and_a_module_in_the_same_folder(peer: Peer) -> None:
    assert case(peer, "python3", "/b/twine").requester_key.program == (PYTHON, "/b/twine")
    one = case(peer, "python3", "-m", "twine").requester_key.program
    assert one is not None
    assert one != case(peer, "python3", "-m", "twine", cwd="/tmp").requester_key.program


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel says who has which terminal")
def test_a_terminal_that_a_request_names_is_not_used(peer: Peer) -> None:
    asked = case(peer, "helper")
    asked._request.arguments["tty"] = "/dev/pts/99"
    assert asked.prompt_context.tty == ""
