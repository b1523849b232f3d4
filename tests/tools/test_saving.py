"""A tool that asks for a password on a terminal, and saves it in the keyring, has logged in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.terminal import Typist
from support.tools.environments import programs
from support.tools.installing import INSTALLING
from support.tools.publishing import flit_project
from support.tools.tool_home import ALICE, SECRET

if TYPE_CHECKING:
    from pathlib import Path

    from support.servers.index_server import IndexServer
    from support.tools.stage import Stage

pytestmark = pytest.mark.tools


class Terminal(Typist):
    """A tool on a terminal, in the project's folder."""

    program = "env"

    def __init__(self, at: Stage, environment: str, program: str, *arguments: str | Path) -> None:
        path = programs(environment) / program
        words = map(str, ("--chdir", at.project, path, *arguments))
        super().__init__(at.home, *words)


def saved(at: Stage) -> str:
    """Return the service of the one credential that is stored now, which is alice's."""
    assert not at.leaks()
    (stored,) = at.home.answer("list")["credentials"]
    keyring = at.home.path / ".local/bin/keyring"
    assert at.home.run(keyring, "get", stored["service"], ALICE).stdout.strip() == SECRET
    return str(stored["service"])


def test_pip_saves_and_does_not_ask_again(stage: Stage, pypiserver: IndexServer) -> None:
    (pypiserver.packages / stage.wheel.name).write_bytes(stage.wheel.read_bytes())
    stage.set_up()
    install = ("install", "--target", "site", "--index-url", stage.simple, "ward-greeting")
    pip = Terminal(stage, "pip-with-keyring", "pip", *install)
    pip.answers("User for 127.0.0.1", ALICE).answers_unseen("Password:", SECRET)
    pip.answers("Save credentials to keyring [y/N]:", "y").leaves(0)
    assert saved(stage) == f"127.0.0.1:{stage.front.port}"
    (again,) = [flow for flow in INSTALLING if flow.title == "pip by import"]
    assert again.run(stage).returncode == 0
    assert again.done(stage)


def test_pdm_saves(stage: Stage) -> None:
    stage.set_up()
    publish = ("publish", "--no-build", "-r", stage.url)
    (stage.project / "pyproject.toml").write_text('[project]\nname = "p"\nversion = "1.0"\n')
    pdm = Terminal(stage, "pdm", "pdm", *publish)
    pdm.answers("Username:", ALICE).answers_unseen("Password:", SECRET)
    pdm.answers("Save credentials to keyring?", "y").leaves(0)
    assert stage.published()
    assert saved(stage) == f"127.0.0.1:{stage.front.port}"


def test_hatch_saves(stage: Stage) -> None:
    stage.set_up()
    hatch = Terminal(stage, "hatch", "hatch", "publish", "-r", stage.url)
    hatch.answers("Username for", ALICE).answers_unseen("Password / Token", SECRET).leaves(0)
    assert stage.published()
    assert saved(stage) == stage.url


def test_flit_saves(stage: Stage) -> None:
    stage.set_up()
    flit_project(stage)
    stage.home.environment["FLIT_INDEX_URL"] = stage.url
    flit = Terminal(stage, "flit", "flit", "publish", "--format", "wheel")
    flit.answers("Username:", ALICE).answers_unseen("Password:", SECRET).leaves(0)
    assert stage.published()
    assert saved(stage) == stage.url


def test_what_pip_saved_is_removed_by_the_keyring_program(stage: Stage) -> None:
    stage.set_up()
    keyring = stage.home.path / ".local/bin/keyring"
    stage.home.run(keyring, "set", "127.0.0.1:8080", ALICE, stdin=SECRET)
    assert saved(stage) == "127.0.0.1:8080"
    assert stage.home.run(keyring, "del", "127.0.0.1:8080", ALICE).returncode == 0
    assert stage.home.answer("list")["credentials"] == []
