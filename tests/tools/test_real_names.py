"""Publishing to PyPI and TestPyPI with no URL at all: their names, a server of our own behind them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support.auth_commands import PROGRAMS
from support.home import Home
from support.macaroons import token_of
from support.servers.real_names_server import ACCOUNT, PRIVATE, Seen, token
from support.systems.real_names import RealNames, needs_namespaces
from support.tools.environments import programs
from support.tools.publishing import flit_project
from support.tools.tool_home import ToolHome, said
from support.tools.wheels import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.tools, needs_namespaces, pytest.mark.xdist_group("real names")]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "TOOLS.md"
PYPI = "https://upload.pypi.org/legacy/"
TESTPYPI = "https://test.pypi.org/legacy/"


class Way(NamedTuple):
    """A command line that names no URL, and where it leads."""

    url: str
    environment: str
    command: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.command)


WAYS = [
    Way(PYPI, "twine", ("twine", "upload", "--non-interactive", "dist/*")),
    Way(PYPI, "twine", ("twine", "upload", "--non-interactive", "-r", "pypi", "dist/*")),
    Way(TESTPYPI, "twine", ("twine", "upload", "--non-interactive", "-r", "testpypi", "dist/*")),
    Way(PYPI, "uv", ("uv", "publish")),
    Way(TESTPYPI, "uv", ("uv", "publish", "--index", "testpypi")),
    Way(PYPI, "poetry", ("poetry", "publish", "--no-interaction")),
    Way(TESTPYPI, "poetry", ("poetry", "publish", "--no-interaction", "-r", "testpypi")),
    Way(PYPI, "pdm", ("pdm", "publish", "--no-build")),
    Way(TESTPYPI, "pdm", ("pdm", "publish", "--no-build", "-r", "testpypi")),
    Way(PYPI, "hatch", ("hatch", "publish", "-n")),
    Way(TESTPYPI, "hatch", ("hatch", "publish", "-n", "-r", "test")),
    Way(PYPI, "flit", ("flit", "publish", "--format", "wheel")),
    Way(TESTPYPI, "flit", ("flit", "publish", "--format", "wheel", "--repository", "testpypi")),
]
QUIET = {"--non-interactive", "--no-interaction", "-n", "--no-build", "--format", "wheel"}
every_way = pytest.mark.parametrize("way", WAYS, ids=map(str, WAYS))


@pytest.fixture
def tool_home(names: RealNames) -> Iterator[ToolHome]:
    """A home in which the names of the real indexes are ours."""
    with Home() as home:
        it = ToolHome(home, names.inside)
        flit_project(it)
        it.write(".config/pypoetry/config.toml", f'[repositories.testpypi]\nurl = "{TESTPYPI}"\n')
        trusted = str(names.authority)
        home.environment |= {"REQUESTS_CA_BUNDLE": trusted, "SSL_CERT_FILE": trusted}
        names.seen()
        yield it


def log_in_to_both(tool_home: ToolHome) -> None:
    """Log in to PyPI and to TestPyPI, each with a token that it made."""
    tool_home.home.done("login", "--token", "-", stdin=f"{token('upload.pypi.org')}\n")
    tool_home.home.done("login", "testpypi", "--token", "-", stdin=f"{token('test.pypi.org')}\n")


@every_way
def test_a_command_without_a_url_publishes_with_the_token_of_that_index(
    way: Way, tool_home: ToolHome, names: RealNames
) -> None:
    log_in_to_both(tool_home)
    tool_home.set_up("uv", "hatch", "flit")
    result = tool_home.run(way.environment, *way.command)
    assert result.returncode == 0, said(result)
    uploads = [request for request in names.seen() if request.method == "POST"]
    assert uploads == [Seen(way.url, "POST", "__token__", True, 200, NAME)]


@every_way
def test_a_command_without_a_url_sends_nothing_before_a_login(
    way: Way, tool_home: ToolHome, names: RealNames
) -> None:
    tool_home.set_up("uv", "hatch", "flit")
    result = tool_home.run(way.environment, *way.command)
    assert result.returncode != 0
    assert not [request for request in names.seen() if request.status < 400]


def test_three_indexes_are_published_to_by_name_and_by_url(
    tool_home: ToolHome, names: RealNames
) -> None:
    private = f"https://{PRIVATE}/legacy/"
    tool_home.write(
        ".pypirc",
        "[distutils]\nindex-servers =\n    pypi\n    testpypi\n    ours\n\n"
        f"[ours]\nrepository = {private}\n",
    )
    log_in_to_both(tool_home)
    user, password = ACCOUNT
    tool_home.home.log_in("ours", password, username=user)
    tool_home.set_up()
    for name, url, account in (
        ("pypi", PYPI, "__token__"),
        ("testpypi", TESTPYPI, "__token__"),
        ("ours", private, user),
    ):
        for where in (("--repository", name), ("--repository-url", url)):
            result = tool_home.run(
                "twine", "twine", "upload", "--non-interactive", *where, "dist/*"
            )
            assert result.returncode == 0, said(result)
            assert names.seen() == [Seen(url, "POST", account, True, 200, NAME)]


def test_a_token_that_the_index_did_not_make_is_refused(
    tool_home: ToolHome, names: RealNames
) -> None:
    tool_home.home.done("login", "--token", "-", stdin=f"{token_of('pypi.org')}\n")
    tool_home.set_up()
    result = tool_home.run("twine", "twine", "upload", "--non-interactive", "dist/*")
    assert result.returncode == 1
    assert names.seen() == [Seen(PYPI, "POST", "__token__", True, 403, NAME)]


def test_maturin_publishes_to_pypi_through_exec(tool_home: ToolHome, names: RealNames) -> None:
    log_in_to_both(tool_home)
    maturin = programs("maturin") / "maturin"
    upload = (maturin, "upload", "--non-interactive", str(tool_home.wheel))
    inside = (*names.inside, str(tool_home.project))
    result = tool_home.home.run(*inside, PROGRAMS / "auth", "exec", "--env", "--", *upload)
    assert result.returncode == 0, said(result)
    assert names.seen() == [Seen(PYPI, "POST", "__token__", True, 200, NAME)]


def test_the_page_shows_each_of_them() -> None:
    page = PAGE.read_text()
    shown = {f"`{' '.join(word for word in way.command if word not in QUIET)}`" for way in WAYS}
    assert [command for command in sorted(shown) if command not in page] == []
