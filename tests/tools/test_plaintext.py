"""Secrets that a tool is told to keep: into the agent, and where it may not, what the tool does.

A tool that finds no keyring may write the secret into a file of its own. poetry does not, since our
backend never fails when poetry tries it out. pdm does whenever a keyring refuses to store: nothing
that a keyring can do prevents it but to take the secret, so a locked agent is what pdm must not
be configured with. docs/TOOLS.md says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.tools.tool_home import SECRET, ToolHome, said

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import CompletedProcess

    from support.home import Home

    Done = CompletedProcess[str]

pytestmark = pytest.mark.tools
INDEX = "https://index.example/"


def poetry_token(at: ToolHome) -> Done:
    return at.run("poetry", "poetry", "config", "pypi-token.ours", SECRET)


def poetry_password(at: ToolHome) -> Done:
    return at.run("poetry", "poetry", "config", "http-basic.ours", "alice", SECRET)


def pdm_password(at: ToolHome) -> Done:
    at.write(".config/pdm/config.toml", f'[repository.ours]\nurl = "{INDEX}"\nusername = "alice"\n')
    return at.run("pdm", "pdm", "config", "repository.ours.password", SECRET)


def no_agent(at: ToolHome) -> None:
    at.home.done("agent", "stop")
    at.home.environment["TOKENWARD_NO_AUTOSTART"] = "1"


def locked(at: ToolHome) -> None:
    at.home.done("lock")


WAYS: list[Callable[[ToolHome], Done]] = [poetry_token, poetry_password, pdm_password]
every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
poetrys = pytest.mark.parametrize("way", WAYS[:2], ids=lambda way: way.__name__)
shut = pytest.mark.parametrize("shut", [no_agent, locked], ids=lambda way: way.__name__)


@pytest.fixture
def tool_home(home: Home) -> ToolHome:
    """A home in which something is stored already, so that there is something to lock."""
    it = ToolHome(home)
    it.set_up()
    home.log_in(INDEX, "else", username="somebody")
    return it


@every_way
def test_what_a_tool_is_told_to_keep_is_a_login(
    way: Callable[[ToolHome], Done], tool_home: ToolHome
) -> None:
    result = way(tool_home)
    assert result.returncode == 0, said(result)
    assert not tool_home.leaks()
    listed = tool_home.home.answer("list")["credentials"]
    (stored,) = [entry for entry in listed if entry["username"] != "somebody"]
    keyring = tool_home.home.path / ".local/bin/keyring"
    found = tool_home.home.run(keyring, "get", stored["service"], stored["username"])
    assert found.stdout.strip() == SECRET


@every_way
def test_the_first_thing_that_is_ever_stored_may_come_from_a_tool(
    way: Callable[[ToolHome], Done], home: Home
) -> None:
    tool_home = ToolHome(home)
    tool_home.set_up()
    result = way(tool_home)
    assert result.returncode == 0, said(result)
    assert not tool_home.leaks()
    assert home.answer("list")["credentials"]


@shut
@poetrys
def test_poetry_says_that_it_could_not_and_writes_nothing(
    way: Callable[[ToolHome], Done], shut: Callable[[ToolHome], None], tool_home: ToolHome
) -> None:
    shut(tool_home)
    result = way(tool_home)
    assert result.returncode != 0
    assert SECRET not in said(result)
    assert not tool_home.leaks()


@shut
def test_pdm_falls_back_to_its_own_file(
    shut: Callable[[ToolHome], None], tool_home: ToolHome
) -> None:
    shut(tool_home)
    assert pdm_password(tool_home).returncode == 0
    assert tool_home.leaks() == [tool_home.home.path / ".config/pdm/config.toml"]
