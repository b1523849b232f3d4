"""Agents in user namespaces, which any program can make, and which are open to whoever made them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.inspection.held_texts import paths_below

if TYPE_CHECKING:
    from support.home import Home

IN_ONE = ("unshare", "--user", "--map-root-user")
MAP_A_THOUSAND = """
import ctypes, os, sys
there, here = os.pipe(), os.pipe()
child = os.fork()
if child:  # root outside gives the namespace its ids, and waits for what runs in it
    os.read(there[0], 1)
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/{child}/{name}", "w") as file: file.write("0 0 1000")
    os.write(here[1], b"x")
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
assert ctypes.CDLL(None).unshare(0x10000000) == 0
os.write(there[1], b"x")
os.read(here[0], 1)
os.execvp(sys.argv[1], sys.argv[1:])
"""
IN_A_CONTAINER = (sys.executable, "-c", MAP_A_THOUSAND)
WITHOUT_AN_ID = ("unshare", "--user")
URL = "https://a.example/"
pytestmark = pytest.mark.skipif(
    sys.platform != "linux"
    or subprocess.run([*IN_ONE, "true"], check=False, capture_output=True).returncode != 0,
    reason="this system has no user namespaces",
)
container = pytest.mark.root("maps many ids")
AUTH = PROGRAMS / "auth"


def inside(
    home: Home, *command: str, namespace: tuple[str, ...] = IN_ONE, directory: str = ""
) -> str:
    """Run `auth` in a user namespace; return what it says, on either stream."""
    done = home.run(*namespace, AUTH, *command, TOKENWARD_DIR=directory)
    return done.stdout + done.stderr


def stop(home: Home, *namespace: str) -> None:
    inside(home, "agent", "stop", namespace=namespace or IN_ONE)


def test_a_directory_that_an_agent_outside_has_used_is_refused(home: Home) -> None:
    home.log_in(URL, "s3cret")
    assert inside(home, "token", URL) == "s3cret\n"  # by the agent outside, which may be asked
    home.done("agent", "stop")
    for command in (("token", URL), ("agent", "start"), ("list",)):
        told = inside(home, *command)
        assert "An agent outside of this user namespace uses" in told
        assert "TOKENWARD_DIR" in told
        assert "s3cret" not in told
    assert home.done("token", URL) == "s3cret\n"


def test_with_a_directory_of_its_own_it_works_and_says_who_can_look_in(home: Home) -> None:
    home.log_in(URL, "outside")
    own = str(home.path / "own")
    inside(home, "login", URL, "--token", "inside", directory=own)
    try:
        assert inside(home, "token", URL, directory=own) == "inside\n"
        shown = inside(home, "status", "-v", directory=own)
        assert "not dumpable" in shown
        assert "refused: programs outside of this user namespace can read it" in shown
        assert "refused" not in home.done("status")
        assert "not dumpable" in inside(home, "doctor", directory=own)
    finally:
        inside(home, "agent", "stop", directory=own)


def test_what_was_used_inside_alone_can_be_used_there_again_and_outside(home: Home) -> None:
    """A container that is made anew has another namespace with as many ids."""
    inside(home, "login", URL, "--token", "x")
    stop(home)
    assert inside(home, "token", URL) == "x\n"
    stop(home)
    assert home.done("token", URL) == "x\n"
    home.done("agent", "stop")
    assert "outside of this user namespace" in inside(home, "token", URL)


@container
def test_a_namespace_in_a_container_is_inside_of_that(home: Home) -> None:
    inside(home, "login", URL, "--token", "x", namespace=IN_A_CONTAINER)
    stop(home, *IN_A_CONTAINER)
    assert "outside of this user namespace" in inside(
        home, "token", URL, namespace=(*IN_A_CONTAINER, *IN_ONE)
    )
    assert inside(home, "token", URL, namespace=IN_A_CONTAINER) == "x\n"
    stop(home, *IN_A_CONTAINER)


def test_the_id_of_all_who_have_none_is_refused_before_anything_is_made(home: Home) -> None:
    home.path.chmod(0o777)
    (home.path / "run").chmod(0o777)
    before = {*paths_below(home.path)}
    for command in (("login", URL, "--token", "x"), ("setup", "keyring"), ("dir",)):
        told = inside(home, *command, namespace=WITHOUT_AN_ID)
        assert "stands for every user without an id in this user namespace" in told
    assert {*paths_below(home.path)} == before


def test_an_agent_itself_refuses_that_id(home: Home) -> None:
    done = home.run(*WITHOUT_AN_ID, PROGRAMS / "tokenward-agent")
    assert done.returncode == 2
    assert "stands for every user without an id" in done.stderr
