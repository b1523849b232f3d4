"""The ways to publish, one function each: what a person types, with that tool's own settings.

Each leaves the wheel of the stage in the index, or says why not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.tools.flow import Flow
from support.tools.stage import Stage
from support.tools.tool_home import ALICE, ToolHome

if TYPE_CHECKING:
    from subprocess import CompletedProcess

    Done = CompletedProcess[str]

PYPIRC = "[distutils]\nindex-servers = ours\n[ours]\nrepository = {url}\n"
PYPROJECT = """\
[project]
name = "ward-greeting"
version = "1.0"
description = "for tests"
requires-python = ">=3.11"
"""
FLIT_PYPROJECT = f"""\
[build-system]
requires = ["flit_core"]
build-backend = "flit_core.buildapi"
{PYPROJECT}"""


def twine_by_url(at: Stage) -> Done:
    return _twine(at, "--repository-url", at.url)


def twine_by_name(at: Stage) -> Done:
    at.write(".pypirc", PYPIRC.format(url=at.url))
    return _twine(at, "-r", "ours")


def twine_to_devpi(at: Stage) -> Done:
    return _twine(at, "--repository-url", f"{at.url}{at.index}/")


def _twine(at: Stage, *where: str) -> Done:
    return at.run("twine", "twine", "upload", "--non-interactive", *where, at.wheel)


def uv_by_url(at: Stage) -> Done:
    url = at.url.replace("://", f"://{ALICE}@")
    return at.run("uv", "uv", "publish", "--publish-url", url, at.wheel)


def uv_by_index(at: Stage) -> Done:
    publish = at.url.replace("://", f"://{ALICE}@")
    index = f'[[tool.uv.index]]\nname = "ours"\nurl = "{at.simple}"\nauthenticate = "always"\n'
    (at.project / "pyproject.toml").write_text(f'{PYPROJECT}{index}publish-url = "{publish}"\n')
    return at.run("uv", "uv", "publish", "--index", "ours")


def uv_by_environment(at: Stage) -> Done:
    return at.run("uv", "uv", "publish", UV_PUBLISH_URL=at.url, UV_PUBLISH_USERNAME=ALICE)


def uv_by_user_configuration(at: Stage) -> Done:
    url = at.url.replace("://", f"://{ALICE}@")
    at.write(".config/uv/uv.toml", f'publish-url = "{url}"\nkeyring-provider = "subprocess"\n')
    return at.run("uv", "uv", "publish")


def poetry_by_name(at: Stage) -> Done:
    at.write(".config/pypoetry/config.toml", f'[repositories.ours]\nurl = "{at.url}"\n')
    (at.project / "pyproject.toml").write_text(PYPROJECT)
    return at.run("poetry", "poetry", "--no-interaction", "publish", "-r", "ours")


def pdm_by_url(at: Stage) -> Done:
    return _pdm(at, at.url)


def pdm_by_name(at: Stage) -> Done:
    at.write(".config/pdm/config.toml", f'[repository.ours]\nurl = "{at.url}"\n')
    return _pdm(at, "ours")


def _pdm(at: Stage, repository: str) -> Done:
    (at.project / "pyproject.toml").write_text(PYPROJECT)
    return at.run("pdm", "pdm", "publish", "--no-build", "-d", "dist", "-r", repository)


def hatch_by_url(at: Stage) -> Done:
    return at.run("hatch", "hatch", "publish", "-n", "-r", at.url, "-u", ALICE, at.wheel)


def hatch_by_name(at: Stage) -> Done:
    repository = f'[publish.index.repos.ours]\nurl = "{at.url}"\nuser = "{ALICE}"\n'
    at.write(".config/hatch/config.toml", f'[publish.index]\nrepo = "ours"\n{repository}')
    return at.run("hatch", "hatch", "publish", "-n", at.wheel)


def flit_by_url(at: Stage) -> Done:
    flit_project(at)
    variables = {"FLIT_INDEX_URL": at.url, "FLIT_USERNAME": ALICE}
    return at.run("flit", "flit", "publish", "--format", "wheel", **variables)


def flit_by_name(at: Stage) -> Done:
    at.write(".pypirc", f"{PYPIRC.format(url=at.url)}username = {ALICE}\n")
    flit_project(at)
    return at.run("flit", "flit", "publish", "--format", "wheel", "--repository", "ours")


def devpi(at: Stage) -> Done:
    done = at.run("devpi-client", "devpi", "use", f"{at.url}{at.index}")
    done = done if done.returncode else at.run("devpi-client", "devpi", "login", ALICE)
    return done if done.returncode else at.run("devpi-client", "devpi", "upload", at.wheel)


def flit_project(at: ToolHome) -> None:
    """Make the project one that flit builds."""
    (at.project / "pyproject.toml").write_text(FLIT_PYPROJECT)
    (at.project / "ward_greeting.py").write_text('"""hello"""\n')


PUBLISHING = [
    Flow("twine by URL", twine_by_url, Stage.published),
    Flow("twine by name", twine_by_name, Stage.published),
    Flow("twine to devpi", twine_to_devpi, Stage.published, server="devpi"),
    Flow("uv publish by URL", uv_by_url, Stage.published, ("uv",)),
    Flow("uv publish by index", uv_by_index, Stage.published, ("uv",)),
    Flow("uv publish by environment", uv_by_environment, Stage.published, ("uv",)),
    Flow("uv publish by user configuration", uv_by_user_configuration, Stage.published),
    Flow("poetry publish", poetry_by_name, Stage.published),
    Flow("pdm publish by URL", pdm_by_url, Stage.published),
    Flow("pdm publish by name", pdm_by_name, Stage.published),
    Flow("hatch publish by URL", hatch_by_url, Stage.published),
    Flow("hatch publish by name", hatch_by_name, Stage.published),
    Flow("flit publish by URL", flit_by_url, Stage.published),
    Flow("flit publish by name", flit_by_name, Stage.published),
    Flow("devpi login and upload", devpi, Stage.published, server="devpi"),
]
