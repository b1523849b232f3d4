"""Publishing to PyPI behind a relay, with no URL at all: the token goes in on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.inspection.held_texts import files_with
from support.servers.real_names_server import Seen, token
from support.systems.private_indexes import HomeInside
from support.systems.real_names import RealNames, needs_namespaces
from support.tools.environments import programs
from support.tools.publishing import flit_project
from support.tools.tool_home import ToolHome, said
from support.tools.wheels import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.tools, needs_namespaces, pytest.mark.xdist_group("real names")]

URLS = {"pypi": "https://upload.pypi.org/legacy/", "testpypi": "https://test.pypi.org/legacy/"}
FILE = f"dist/{NAME}"
COMMANDS = [
    ("twine", "upload", "--non-interactive", FILE),
    ("twine", "upload", "--non-interactive", "--skip-existing", FILE),
    ("uv", "publish"),
    ("poetry", "publish", "-n"),
    ("pdm", "publish", "--no-build"),
    ("hatch", "publish", "-n"),
    ("flit", "publish", "--format", "wheel"),
    ("maturin", "upload", "--non-interactive", FILE),
]


@pytest.fixture
def at(names: RealNames) -> Iterator[ToolHome]:
    """A home in which the names of the real indexes are ours, with a token for each of them."""
    with HomeInside(names) as home:
        it = ToolHome(home)
        flit_project(it)
        trusted = str(names.authority)
        home.environment |= {"REQUESTS_CA_BUNDLE": trusted, "SSL_CERT_FILE": trusted}
        it.write(".config/tokenward/config.toml", f'ca = "{trusted}"\n')
        for name, host in (("pypi", "upload.pypi.org"), ("testpypi", "test.pypi.org")):
            home.done("login", name, "--token", "-", stdin=f"{token(host)}\n")
        names.seen()
        yield it


def publish(at: ToolHome, index: str, command: tuple[str, ...]) -> str:
    """Publish behind a relay; return all that was said."""
    tool = programs(command[0]) / command[0]
    execute = ("exec", "--relay", "--index", index, "--project", "ward-greeting", "--")
    result = at.home.run(PROGRAMS / "auth", *execute, tool, *command[1:], cwd=str(at.project))
    assert result.returncode == 0, said(result)
    return said(result)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_tool_publishes_to_pypi_with_a_token_that_it_never_has(
    command: tuple[str, ...], at: ToolHome, names: RealNames
) -> None:
    text = publish(at, "pypi", command)
    uploads = [it for it in names.seen() if it.method == "POST"]
    assert uploads == [Seen(URLS["pypi"], "POST", "__token__", True, 200, NAME)]
    assert "pypi-" not in text
    own = at.home.path / ".local/share/tokenward"
    held = files_with(at.home.path, token("upload.pypi.org"))
    assert not [path for path in held if own not in path.parents]


@pytest.mark.parametrize("command", [COMMANDS[0], COMMANDS[2]], ids=" ".join)
def test_another_index_is_chosen_by_its_name(
    command: tuple[str, ...], at: ToolHome, names: RealNames
) -> None:
    publish(at, "testpypi", command)
    uploads = [it for it in names.seen() if it.method == "POST"]
    assert uploads == [Seen(URLS["testpypi"], "POST", "__token__", True, 200, NAME)]
