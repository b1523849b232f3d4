"""Tools that publish with a token that they mint themselves, by trusted publishing, behind a relay.

A job of a CI system has stored nothing. The relay judges what the tool publishes, as every publish.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.servers.real_names_server import BEARER, CI, Seen, token
from support.systems.private_indexes import HomeInside
from support.systems.real_names import RealNames, needs_namespaces
from support.tools.environments import programs
from support.tools.publishing import flit_project
from support.tools.tool_home import ToolHome, said
from support.tools.wheels import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import CompletedProcess

pytestmark = [pytest.mark.tools, needs_namespaces, pytest.mark.xdist_group("own credential")]

PYPI = "https://upload.pypi.org/legacy/"
MINT = "https://upload.pypi.org/_/oidc/mint-token"
GITHUB = {
    "GITHUB_ACTIONS": "true",
    "ACTIONS_ID_TOKEN_REQUEST_URL": f"http://{CI}/token?api-version=2",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": BEARER,
}
FILE = f"dist/{NAME}"
COMMANDS = [
    ("uv", "publish", "--trusted-publishing", "always"),
    ("twine", "upload", "--non-interactive", FILE),
]
every_tool = pytest.mark.parametrize("command", COMMANDS, ids=[each[0] for each in COMMANDS])


@pytest.fixture(scope="module")
def trusted() -> Iterator[RealNames]:
    """A machine in which the names of the real indexes lead to ours, which have trusted publishing."""
    with RealNames(trusted=True) as it:
        yield it


@pytest.fixture
def at(trusted: RealNames) -> Iterator[ToolHome]:
    """A job there, with nothing stored."""
    with HomeInside(trusted) as home:
        it = ToolHome(home)
        flit_project(it)
        authority = str(trusted.authority)
        home.environment |= {"REQUESTS_CA_BUNDLE": authority, "SSL_CERT_FILE": authority, **GITHUB}
        it.write(".config/tokenward/config.toml", f'ca = "{authority}"\n')
        trusted.seen()
        yield it


def publish(
    at: ToolHome, command: tuple[str, ...], *options: str, project: str = "ward-greeting"
) -> CompletedProcess[str]:
    tool = programs(command[0]) / command[0]
    execute = ("exec", "--index", "pypi", "--project", project, *options, "--")
    return at.home.run(PROGRAMS / "auth", *execute, tool, *command[1:], cwd=str(at.project))


def require_published(result: CompletedProcess[str], trusted: RealNames) -> None:
    """Require that the tool minted, and that its own token came with the upload."""
    assert result.returncode == 0, said(result)
    seen = trusted.seen()
    assert (MINT, 200) in [(it.url, it.status) for it in seen]
    uploads = [it for it in seen if it.url == PYPI]
    assert uploads == [Seen(PYPI, "POST", "__token__", True, 200, NAME)]


@every_tool
def test_a_tool_publishes_with_the_token_that_it_mints(
    command: tuple[str, ...], at: ToolHome, trusted: RealNames
) -> None:
    result = publish(at, command)
    require_published(result, trusted)
    assert "No credential for pypi is stored: the command publishes with its own." in result.stderr
    log = at.home.done("log", "--published")
    assert "ward-greeting" in log
    assert "200" in log


@every_tool
def test_it_does_so_beside_a_stored_one_if_it_is_told_to(
    command: tuple[str, ...], at: ToolHome, trusted: RealNames
) -> None:
    at.home.done("login", "pypi", "--token", "-", stdin=f"{token('upload.pypi.org')}\n")
    require_published(publish(at, command, "--own-credential"), trusted)


@every_tool
def test_what_it_publishes_is_judged(
    command: tuple[str, ...], at: ToolHome, trusted: RealNames
) -> None:
    result = publish(at, command, project="another")
    assert result.returncode != 0
    assert "--project" in said(result)
    assert not any(it.url == PYPI for it in trusted.seen())
