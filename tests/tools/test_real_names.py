"""Publishing to PyPI and TestPyPI with no URL at all: their names, a server of our own behind them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support.home import PROGRAMS, Home
from support.macaroons import token_of
from support.servers.real_names_server import ACCOUNT, PRIVATE, Seen, token
from support.systems.real_names import RealNames, needs_namespaces
from support.tools.environments import programs
from support.tools.tool_home import Workshop, said
from support.tools.wheels import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.tools, needs_namespaces]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "TOOLS.md"
PYPI = "https://upload.pypi.org/legacy/"
TESTPYPI = "https://test.pypi.org/legacy/"
PYPROJECT = """\
[build-system]
requires = ["flit_core"]
build-backend = "flit_core.buildapi"
[project]
name = "ward-greeting"
version = "1.0"
description = "for tests"
requires-python = ">=3.11"
"""


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


@pytest.fixture(scope="module")
def names() -> Iterator[RealNames]:
    with RealNames() as it:
        yield it


@pytest.fixture
def workshop(names: RealNames) -> Iterator[Workshop]:
    """A home in which the names of the real indexes are ours."""
    with Home() as home:
        it = Workshop(home, names.inside)
        (it.project / "pyproject.toml").write_text(PYPROJECT)
        (it.project / "ward_greeting.py").write_text('"""hello"""\n')
        it.write(".config/pypoetry/config.toml", f'[repositories.testpypi]\nurl = "{TESTPYPI}"\n')
        trusted = str(names.authority)
        home.environment |= {"REQUESTS_CA_BUNDLE": trusted, "SSL_CERT_FILE": trusted}
        names.seen()
        yield it


def log_in(workshop: Workshop) -> None:
    """Log in to PyPI and to TestPyPI, each with a token that it made."""
    workshop.home.done("login", "--token", "-", stdin=f"{token('upload.pypi.org')}\n")
    workshop.home.done("login", "testpypi", "--token", "-", stdin=f"{token('test.pypi.org')}\n")


@every_way
def test_a_command_without_a_url_publishes_with_the_token_of_that_index(
    way: Way, workshop: Workshop, names: RealNames
) -> None:
    log_in(workshop)
    workshop.set_up("uv", "hatch", "flit")
    result = workshop.run(way.environment, *way.command)
    assert result.returncode == 0, said(result)
    uploads = [request for request in names.seen() if request.method == "POST"]
    assert uploads == [Seen(way.url, "POST", "__token__", True, 200, NAME)]


@every_way
def test_a_command_without_a_url_sends_nothing_before_a_login(
    way: Way, workshop: Workshop, names: RealNames
) -> None:
    workshop.set_up("uv", "hatch", "flit")
    result = workshop.run(way.environment, *way.command)
    assert result.returncode != 0
    assert not [request for request in names.seen() if request.status < 400]


def test_three_indexes_are_published_to_by_name_and_by_url(
    workshop: Workshop, names: RealNames
) -> None:
    private = f"https://{PRIVATE}/legacy/"
    workshop.write(
        ".pypirc",
        "[distutils]\nindex-servers =\n    pypi\n    testpypi\n    ours\n\n"
        f"[ours]\nrepository = {private}\n",
    )
    log_in(workshop)
    user, password = ACCOUNT
    workshop.home.done("login", "ours", "-u", user, "--password", "-", stdin=f"{password}\n")
    workshop.set_up()
    for name, url, account in (
        ("pypi", PYPI, "__token__"),
        ("testpypi", TESTPYPI, "__token__"),
        ("ours", private, user),
    ):
        for where in (("--repository", name), ("--repository-url", url)):
            result = workshop.run("twine", "twine", "upload", "--non-interactive", *where, "dist/*")
            assert result.returncode == 0, said(result)
            assert names.seen() == [Seen(url, "POST", account, True, 200, NAME)]


def test_a_token_that_the_index_did_not_make_is_refused(
    workshop: Workshop, names: RealNames
) -> None:
    workshop.home.done("login", "--token", "-", stdin=f"{token_of('pypi.org')}\n")
    workshop.set_up()
    result = workshop.run("twine", "twine", "upload", "--non-interactive", "dist/*")
    assert result.returncode == 1
    assert names.seen() == [Seen(PYPI, "POST", "__token__", True, 403, NAME)]


def test_maturin_publishes_to_pypi_through_exec(workshop: Workshop, names: RealNames) -> None:
    log_in(workshop)
    maturin = programs("maturin") / "maturin"
    upload = (maturin, "upload", "--non-interactive", str(workshop.wheel))
    inside = (*names.inside, str(workshop.project))
    result = workshop.home.run(*inside, PROGRAMS / "auth", "exec", "--", *upload)
    assert result.returncode == 0, said(result)
    assert names.seen() == [Seen(PYPI, "POST", "__token__", True, 200, NAME)]


def test_the_page_shows_each_of_them() -> None:
    page = PAGE.read_text()
    shown = {f"`{' '.join(word for word in way.command if word not in QUIET)}`" for way in WAYS}
    assert [command for command in sorted(shown) if command not in page] == []
