"""`auth exec`: the same tools with nothing set up, and those that ask no keyring at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.servers.http_server import Loopback, basic
from support.servers.simple_index import DENIED
from support.tools.environments import programs
from support.tools.publishing import FLIT_PYPROJECT
from support.tools.tool_home import ALICE, SECRET, said
from support.tools.wheels import MODULE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from subprocess import CompletedProcess

    from support.servers.index_server import IndexServer
    from support.tools.stage import Stage

    Done = CompletedProcess[str]

pytestmark = pytest.mark.tools
PUBLISHING = [
    ("twine", "upload", "--non-interactive", "dist/*"),
    ("uv", "publish"),
    ("poetry", "publish", "--no-interaction", "-r", "ours"),
    ("pdm", "publish", "--no-build"),
    ("hatch", "publish", "-n"),
    ("flit", "publish", "--format", "wheel"),
    ("maturin", "upload", "--non-interactive", "dist/ward_greeting-1.0-py3-none-any.whl"),
]
every_command = pytest.mark.parametrize("command", PUBLISHING, ids=" ".join)


def run(at: Stage, *command: str | Path) -> Done:
    """Run a command through `auth exec`, by a name of the user's for the index."""
    at.write(
        ".config/tokenward/config.toml",
        f'[services.ours]\nurl = "{at.url}"\nusername = "{ALICE}"\n',
    )
    tool, *arguments = command
    program = programs(str(tool)) / tool
    execute = (PROGRAMS / "auth", "exec", "--env", "--index", "ours", "--")
    return at.home.run(*execute, program, *arguments, cwd=str(at.project))


@every_command
def test_a_tool_publishes_with_what_exec_gives_it(command: tuple[str, ...], stage: Stage) -> None:
    (stage.project / "pyproject.toml").write_text(FLIT_PYPROJECT)
    (stage.project / MODULE).write_text('"""hello"""\n')
    stage.log_in(stage.url)
    result = run(stage, *command)
    assert result.returncode == 0, said(result)
    assert stage.published()
    assert stage.let_in()
    assert SECRET not in said(result)
    assert not stage.leaks()


def test_pip_installs_with_what_exec_gives_it(stage: Stage, pypiserver: IndexServer) -> None:
    (pypiserver.packages / stage.wheel.name).write_bytes(stage.wheel.read_bytes())
    stage.log_in(stage.url)
    result = run(stage, "pip", "install", "--no-input", "--target", "site", "ward-greeting")
    assert result.returncode == 0, said(result)
    assert (stage.project / "site" / MODULE).exists()
    assert stage.let_in()
    assert not stage.leaks()


@every_command
def test_without_a_credential_nothing_is_started(command: tuple[str, ...], stage: Stage) -> None:
    result = run(stage, *command)
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert stage.front.requests == []


@pytest.fixture
def elsewhere() -> Iterator[Loopback]:
    """A server that wants to know a password."""
    with Loopback(lambda _: DENIED) as it:
        yield it


POETRY = """\
[project]
name = "asker"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["ward-greeting"]
[tool.poetry]
package-mode = false
[[tool.poetry.source]]
name = "ours"
url = "URL"
"""
PUBLISHED = FLIT_PYPROJECT + '[[tool.poetry.source]]\nname = "ours"\nurl = "URL"\n'
OPTIONS = FLIT_PYPROJECT + '[tool.pdm.options]\npublish = ["-r", "URL"]\n'
ELSEWHERE = {
    "lock": ({"pyproject.toml": POETRY}, "poetry lock -n"),
    "install": ({"pyproject.toml": POETRY}, "poetry install -n"),
    "add": ({"pyproject.toml": POETRY}, "poetry add -n ward-other"),
    "-C": ({"sub/pyproject.toml": POETRY}, "poetry -n -C sub lock"),
    "--directory": ({"sub/pyproject.toml": POETRY}, "poetry -n --directory=sub lock"),
    "-P": ({"sub/pyproject.toml": POETRY}, "poetry -n -P sub lock"),
    "large": ({"pyproject.toml": POETRY + f"#{'x' * 1024 * 1024}"}, "poetry lock -n"),
    "publish": (
        {"pyproject.toml": PUBLISHED, "poetry.toml": '[repositories.ours]\nurl = "URL"\n'},
        "poetry publish -n -r ours",
    ),
    "pdm": ({"pyproject.toml": OPTIONS}, "pdm publish --no-build"),
    "pdm -p": ({"sub/pyproject.toml": OPTIONS}, "pdm publish --no-build -psub"),
    "pdm large": ({"pyproject.toml": OPTIONS + f"#{'x' * 1024 * 1024}"}, "pdm publish --no-build"),
}


@pytest.mark.parametrize("case", ELSEWHERE)
def test_no_project_has_a_tool_send_it_elsewhere(
    case: str, stage: Stage, elsewhere: Loopback
) -> None:
    """uv's cases are in end_to_end/test_exec_elsewhere.py."""
    files, command = ELSEWHERE[case]
    for name, text in files.items():
        (stage.project / name).parent.mkdir(exist_ok=True)
        (stage.project / name).write_text(text.replace("URL", f"{elsewhere.url}simple/"))
    stage.log_in(stage.url)
    result = run(stage, *command.split())
    assert SECRET not in said(result)
    assert elsewhere.requests or case in {"publish", "pdm -p"}, said(result)
    assert basic(ALICE, SECRET) not in elsewhere.seen()
    assert "Nothing is set for" in result.stderr or case == "publish"
    assert (case == "publish") == stage.published()
