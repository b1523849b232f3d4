"""The ways to install, one function each: what a person types, with that tool's own settings.

Each brings the package of the stage from the index to a `site-packages` folder of the home.
"""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from support.servers.index_server import IndexServer
from support.tools.flow import Flow
from support.tools.tool_home import ALICE
from support.tools.wheels import BUILT, MODULE, write_backend

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

    from support.tools.stage import Stage

    Done = CompletedProcess[str]

PYPROJECT = """\
[project]
name = "ward-user"
version = "1.0"
requires-python = ">=3.11"
dependencies = [{dependency}]
"""
WANTED = '"ward-greeting"'
UV = {"UV_PYTHON": sys.executable}


def uv_sync(at: Stage) -> Done:
    uv_project(at, at.simple)
    return at.run("uv", "uv", "sync", **UV)


def uv_sync_of_a_strangers_project(at: Stage) -> Done:
    index = (
        f'[[index]]\nname = "ours"\nurl = "{at.simple}"\nauthenticate = "always"\ndefault = true\n'
    )
    at.write(".config/uv/uv.toml", f'keyring-provider = "subprocess"\n{index}')
    uv_project(at, "")
    return at.run("uv", "uv", "sync", **UV)


def uv_add(at: Stage) -> Done:
    uv_project(at, at.simple, dependency="")
    return at.run("uv", "uv", "add", "ward-greeting", **UV)


def uv_pip_install(at: Stage) -> Done:
    _offer(at, at.wheel)
    url = at.simple.replace("://", f"://{ALICE}@")
    at.run("uv", "uv", "venv", "--quiet", **UV)
    return at.run("uv", "uv", "pip", "install", "--index-url", url, "ward-greeting")


def uv_project(at: Stage, url: str, dependency: str = WANTED) -> None:
    """Make the project one that wants `dependency`, from the index at `url` unless that is empty."""
    _offer(at, at.wheel)
    index = f'[[tool.uv.index]]\nname = "ours"\nurl = "{url}"\ndefault = true\n'
    always = 'authenticate = "always"\n'
    text = PYPROJECT.format(dependency=dependency) + (index + always if url else "")
    (at.project / "pyproject.toml").write_text(text)
    shutil.rmtree(at.project / "dist")


def pip_with_the_library(at: Stage) -> Done:
    return _pip(at, "pip-with-keyring")


def pip_without_the_library(at: Stage) -> Done:
    return _pip(at, "pip")


def pip_by_import(at: Stage) -> Done:
    return _pip(at, "pip-with-keyring", "--no-input", "--keyring-provider", "import")


def pip_by_subprocess(at: Stage) -> Done:
    return _pip(at, "pip-with-keyring", "--no-input", "--keyring-provider", "subprocess")


def pip_by_subprocess_without_the_library(at: Stage) -> Done:
    return _pip(at, "pip", "--no-input", "--keyring-provider", "subprocess")


def pip_in_ci_with_the_library(at: Stage) -> Done:
    return _pip(at, "pip-with-keyring", "--no-input")


def pip_in_ci_without_the_library(at: Stage) -> Done:
    return _pip(at, "pip", "--no-input")


def _pip(at: Stage, environment: str, *options: str) -> Done:
    _offer(at, at.wheel)
    where = ("--target", at.home.path / "site-packages", "--index-url", at.simple)
    return at.run(environment, "pip", "install", *options, *where, "ward-greeting")


def build_with_pip_beside_it(at: Stage) -> Done:
    _protected_backend(at)
    return at.run("build-with-pip", "pyproject-build", "--wheel", PIP_INDEX_URL=at.simple)


def build_with_uv(at: Stage) -> Done:
    _protected_backend(at)
    url = at.simple.replace("://", f"://{ALICE}@")
    options = ("--wheel", "--installer", "uv")
    return at.run("build-with-uv", "pyproject-build", *options, UV_DEFAULT_INDEX=url)


def _protected_backend(at: Stage) -> None:
    _offer(at, write_backend(at.home.path))
    backend = '[build-system]\nrequires = ["ward-backend"]\nbuild-backend = "ward_backend"\n'
    (at.project / "pyproject.toml").write_text(backend)


def poetry_install(at: Stage) -> Done:
    _offer(at, at.wheel)
    source = f'[[tool.poetry.source]]\nname = "ours"\nurl = "{at.simple}"\npriority = "primary"\n'
    (at.project / "pyproject.toml").write_text(PYPROJECT.format(dependency=WANTED) + source)
    here = {"POETRY_VIRTUALENVS_IN_PROJECT": "true"}
    done = at.run("poetry", "poetry", "--no-interaction", "lock", **here)
    if done.returncode:
        return done
    return at.run("poetry", "poetry", "--no-interaction", "install", "--no-root", **here)


def pdm_install(at: Stage) -> Done:
    _offer(at, at.wheel)
    source = f'[[tool.pdm.source]]\nname = "pypi"\nurl = "{at.simple}"\n'
    distribution = "[tool.pdm]\ndistribution = false\n"
    text = PYPROJECT.format(dependency=WANTED) + distribution + source
    (at.project / "pyproject.toml").write_text(text)
    at.run("pdm", "pdm", "venv", "create", sys.executable)
    return at.run("pdm", "pdm", "install", "--no-self")


def _offer(at: Stage, wheel: Path) -> None:
    """Put something into the index, for somebody to install."""
    assert isinstance(at.server, IndexServer)
    shutil.copy(wheel, at.server.packages)


def _installed(at: Stage) -> bool:
    return any(at.home.path.glob(f"**/site-packages/{MODULE}"))


def _built(at: Stage) -> bool:
    return (at.project / "dist" / BUILT).exists()


INSTALLING = [
    Flow("uv sync", uv_sync, _installed, ("uv",)),
    Flow("uv sync of a stranger's project", uv_sync_of_a_strangers_project, _installed),
    Flow("uv add", uv_add, _installed, ("uv",)),
    Flow("uv pip install", uv_pip_install, _installed, ("uv",)),
    Flow("pip with the library", pip_with_the_library, _installed),
    Flow("pip without the library", pip_without_the_library, _installed),
    Flow("pip by import", pip_by_import, _installed),
    Flow("pip by subprocess", pip_by_subprocess, _installed),
    Flow("pip by subprocess alone", pip_by_subprocess_without_the_library, _installed),
    Flow("pip in CI with the library", pip_in_ci_with_the_library, _installed, ("pip",)),
    Flow("pip in CI without the library", pip_in_ci_without_the_library, _installed, ("pip",)),
    Flow("build with pip", build_with_pip_beside_it, _built),
    Flow("build with uv", build_with_uv, _built),
    Flow("poetry install", poetry_install, _installed),
    Flow("pdm install", pdm_install, _installed),
]
