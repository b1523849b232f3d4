"""Each page of the tutorial works as written: a shell on a terminal is typed its commands, in order.

The names on the pages (PyPI's, TestPyPI's, index.example) lead to servers of our own. A block of
settings becomes the file that its first line names.
"""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from support import CHECKOUT
from support.auth_commands import PROGRAMS
from support.home import Home
from support.inspection.held_texts import files_with
from support.servers.private_indexes_server import CAPABILITY, INDEX
from support.servers.real_names_server import BEARER, CI, token
from support.systems.private_indexes import PrivateIndexes
from support.systems.real_names import Namespaces, RealNames, needs_namespaces
from support.tools.environments import programs
from support.tools.tool_home import ALICE, SECRET, ToolHome, said
from support.tools.wheels import write_named
from support.tour import Screen

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.tools, needs_namespaces, pytest.mark.xdist_group("real names")]

PAGES = CHECKOUT / "docs" / "tutorial"
BLOCK = re.compile(r"^```(sh|toml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INSTALLED = "uv tool install ."
"""The one command that is not typed: what it installs is what is tried."""

WHEEL = "mine-1.0-py3-none-any.whl"
DOCKER = "auth share --for docker --relay --service corp --at ~/job/tokenward.sock"
UPLOAD = f"twine upload --repository-url https://{INDEX}/ dist/*"
CORP = f'[services.corp]\nurl = "https://{INDEX}/"\nusername = "{ALICE}"\n'
AGENT = f"""\
#!/bin/sh
pip --quiet install --target "$HOME/agents" --index-url https://{INDEX}/simple/ wanted || exit 1
! auth token corp
"""
PYPROJECT = f"""\
[project]
name = "ward-project"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["wanted"]

[[tool.uv.index]]
name = "corp"
url = "https://{INDEX}/simple/"
default = true
"""

Answers = dict[str, list[tuple[str, str]]]
"""What a command asks, and what is typed then."""


@pytest.fixture
def indexes() -> Iterator[PrivateIndexes]:
    """A machine in which index.example is an index of ours, which has the wheel."""
    with PrivateIndexes(ALICE, SECRET) as it:
        yield it


@contextmanager
def home_inside(names: Namespaces) -> Iterator[ToolHome]:
    """A home with a project and its wheel, whose user has the programs that the pages name."""
    with Home() as home:
        own = home.path / ".local/bin"
        own.mkdir(parents=True)
        (own / "auth").symlink_to(PROGRAMS / "auth")
        (own / "my-agent").write_text(AGENT)
        (own / "my-agent").chmod(0o700)
        tools = ToolHome(home)
        tools.wheel.unlink()
        write_named(tools.project / "dist", "mine")
        found = [str(programs(each)) for each in ("twine", "uv", "pip")]
        trusted = str(names.authority)
        home.environment |= {
            "PATH": ":".join([str(own), *found, "/usr/bin", "/bin"]),
            "SSL_CERT_FILE": trusted,
            "REQUESTS_CA_BUNDLE": trusted,
            "COLUMNS": "80",
        }
        yield tools


def type_all(
    text: str, tools: ToolHome, names: Namespaces, answers: Answers | None = None
) -> dict[str, str]:
    """Do what a page, or a part of one, says; return what each command showed. Each has to succeed."""
    shown = {}
    screen = Screen(tools.home, (*names.inside, str(tools.project)))
    try:
        for kind, block in BLOCK.findall(text):
            if kind == "toml":
                settings = f'ca = "{names.authority}"\n{block}'  # which real certificates need not
                tools.write(block.splitlines()[0].removeprefix("# ~/"), settings)
                continue
            for line in block.splitlines():
                if line != INSTALLED:
                    asked = tuple((answers or {}).get(line, ()))
                    shown[line] = screen.shows(line, answers=asked)
                    assert "\n0\n" in screen.shows("echo $?"), shown[line]
    finally:
        screen.close()
    return shown


def test_the_page_about_pypi_works_as_written(names: RealNames) -> None:
    pypi, testpypi = token("upload.pypi.org"), token("test.pypi.org")
    with home_inside(names) as tools:
        tools.write(".pypirc", f"[pypi]\nusername = __token__\npassword = {pypi}\n")
        names.seen()
        login = [("(not shown): ", f"{testpypi}\r"), ("a key file): ", "\r")]
        page = (PAGES / "pypi.md").read_text()
        shown = type_all(page, tools, names, {"auth login testpypi": login})
        uploads = [(seen.url, seen.status, seen.file) for seen in names.seen() if seen.file]
        assert uploads == [("https://test.pypi.org/legacy/", 200, WHEEL)] * 2
        assert WHEEL in shown["auth log --published"]
        assert "testpypi" in shown["auth list"]
        assert files_with(tools.home.path, pypi, testpypi) == []


def test_the_page_about_a_companys_index_works_as_written(indexes: PrivateIndexes) -> None:
    with home_inside(indexes) as tools:
        tools.set_up("uv")
        made = tools.run("uv", "uv", "venv", "--quiet", UV_PYTHON=sys.executable)
        assert made.returncode == 0, said(made)
        login = [("(not shown): ", f"{SECRET}\r"), ("a key file): ", "\r")]
        page = (PAGES / "company-index.md").read_text()
        shown = type_all(page, tools, indexes, {"auth login corp": login})
        assert "accepts the credential" in shown["auth token corp --check"]
        assert [path.name for path in indexes.packages.iterdir()] == [WHEEL]
        assert list(tools.project.glob(".venv/lib/*/site-packages/mine-1.0.dist-info"))
        assert tools.leaks() == []


def test_the_page_about_a_coding_agent_works_as_written(indexes: PrivateIndexes) -> None:
    with home_inside(indexes) as tools:
        write_named(indexes.packages, "wanted")
        tools.write(".config/tokenward/config.toml", f'pinentry = "pinentry-tty"\n{CORP}')
        page = (PAGES / "coding-agent.md").read_text()
        publish = f"auth exec --index corp --project mine -- {UPLOAD}"
        answers = {
            "auth passphrase set": [
                ("assphrase: ", "four words are enough\r"),
                ("gain: ", "four words are enough\r"),
            ],
            "auth login corp --sealed": [("(not shown): ", f"{SECRET}\r")],
            publish: [("]? ", "a")],
        }
        shown = type_all(page, tools, indexes, answers)
        assert len(list(tools.home.path.glob("agents/wanted-1.0.dist-info"))) == 1
        assert (indexes.packages / WHEEL).exists()
        assert "TOKENWARD_SOCK=" in shown[DOCKER]
        assert WHEEL in shown["auth log --published"]
        refused = [seen for seen in indexes.seen() if seen.shown == CAPABILITY or seen.leaks]
        assert (refused, tools.leaks()) == ([], [])


def test_the_page_about_ci_works_as_written(indexes: PrivateIndexes) -> None:
    trusted, stored = (PAGES / "ci.md").read_text().split("\n## With a secret variable\n")
    with RealNames(trusted=True) as names, home_inside(names) as tools:
        tools.home.environment |= {
            "GITHUB_ACTIONS": "true",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": BEARER,
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"http://{CI}/token?api-version=2",
        }
        tools.write(".config/tokenward/config.toml", f'ca = "{names.authority}"\n')
        shown = type_all(trusted, tools, names)
        assert "told to revoke it" in shown["auth logout pypi"]
        uploads = [(seen.url, seen.status, seen.file) for seen in names.seen() if seen.file]
        assert uploads == [("https://upload.pypi.org/legacy/", 200, WHEEL)]
    with home_inside(indexes) as tools:
        write_named(indexes.packages, "wanted")
        tools.write("project/pyproject.toml", PYPROJECT)
        tools.write(".config/tokenward/config.toml", f'ca = "{indexes.authority}"\n{CORP}')
        tools.home.environment |= {
            "UV_INDEX_CORP_USERNAME": ALICE,
            "UV_INDEX_CORP_PASSWORD": SECRET,
            "UV_PYTHON": sys.executable,
        }
        type_all(stored, tools, indexes)
        assert list(tools.project.glob(".venv/lib/*/site-packages/wanted-1.0.dist-info"))
