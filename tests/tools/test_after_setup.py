"""What `auth setup` adds to a user's own files, so that commands need no user name any more."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from support.tools.installing import uv_project
from support.tools.publishing import flit_project
from support.tools.tool_home import said

if TYPE_CHECKING:
    from support.tools.stage import Stage

pytestmark = pytest.mark.tools


@pytest.mark.parametrize("command", [("publish",), ("publish", "--index", "ours")])
def test_uv_publishes_to_the_users_own_index(command: tuple[str, ...], stage: Stage) -> None:
    stage.write(
        ".config/uv/uv.toml",
        f'publish-url = "{stage.url}"\n\n[[index]]\nname = "ours"\n'
        f'url = "{stage.simple}"\npublish-url = "{stage.url}"\n',
    )
    stage.log_in(stage.url)
    stage.set_up("uv")
    result = stage.run("uv", "uv", *command)
    assert result.returncode == 0, said(result)
    assert stage.published()


def test_uv_installs_from_the_users_own_index(stage: Stage) -> None:
    uv_project(stage, "")
    stage.write(
        ".config/uv/uv.toml", f'[[index]]\nname = "ours"\nurl = "{stage.simple}"\ndefault = true\n'
    )
    stage.log_in(stage.url)
    stage.set_up("uv")
    result = stage.run("uv", "uv", "sync", UV_PYTHON=sys.executable)
    assert result.returncode == 0, said(result)
    assert stage.let_in()


@pytest.mark.parametrize(
    ("tool", "command"),
    [
        ("hatch", ("publish", "-n", "-r", "{url}")),
        ("flit", ("publish", "--format", "wheel", "--repository", "ours")),
    ],
)
def test_hatch_and_flit_know_the_user_of_a_server_in_pypirc(
    tool: str, command: tuple[str, ...], stage: Stage
) -> None:
    stage.write(
        ".pypirc",
        f"[distutils]\nindex-servers =\n    ours\n\n[ours]\nrepository = {stage.url}\n",
    )
    flit_project(stage)
    stage.log_in(stage.url)
    stage.set_up(tool)
    result = stage.run(tool, tool, *(word.format(url=stage.url) for word in command))
    assert result.returncode == 0, said(result)
    assert stage.published()
