"""What is stored for one index never goes to another: not over http, nor to the next port or host.

Each refusal has its counterpart beside it, the same tool at the index that the credential is for:
so it is known that the tool would have sent it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from support.home import Home
from support.servers.real_names_server import PRIVATE
from support.servers.recording_proxy import RecordingProxy
from support.systems.real_names import RealNames, needs_namespaces
from support.tools.tool_home import ALICE, SECRET, ToolHome, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from subprocess import CompletedProcess

    from support.tools.stage import Stage

    Done = CompletedProcess[str]

pytestmark = [pytest.mark.tools, pytest.mark.xdist_group("no credential leaves")]


def uv_always(at: ToolHome, root: str) -> Done:
    index = f'[[tool.uv.index]]\nname = "ours"\nurl = "{root}simple/"\ndefault = true\n'
    (at.project / "pyproject.toml").write_text(
        '[project]\nname = "asker"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
        f'dependencies = ["ward-greeting"]\n{index}authenticate = "always"\n'
    )
    return at.run("uv", "uv", "sync", UV_PYTHON=sys.executable, UV_INSECURE_HOST=PRIVATE)


def uv_with_a_user_name(at: ToolHome, root: str) -> Done:
    url = root.replace("://", f"://{ALICE}@") + "simple/"
    where = ("--target", at.home.path / "there", "--python", sys.executable)
    return at.run("uv", "uv", "pip", "install", *where, "--index-url", url, "ward-greeting")


def uv_publish(at: ToolHome, root: str) -> Done:
    url = root.replace("://", f"://{ALICE}@")
    return at.run("uv", "uv", "publish", "--publish-url", url, at.wheel)


def pip_by_import(at: ToolHome, root: str) -> Done:
    return _pip(at, root, "import")


def pip_by_subprocess(at: ToolHome, root: str) -> Done:
    return _pip(at, root, "subprocess")


def _pip(at: ToolHome, root: str, provider: str) -> Done:
    options = ("--keyring-provider", provider, "--trusted-host", PRIVATE, "--no-input")
    where = ("--target", at.home.path / "there", "--index-url", f"{root}simple/")
    return at.run("pip-with-keyring", "pip", "install", *options, *where, "ward-greeting")


def twine(at: ToolHome, root: str) -> Done:
    upload = ("upload", "--non-interactive", "--repository-url", root)
    return at.run("twine", "twine", *upload, at.wheel)


def pdm(at: ToolHome, root: str) -> Done:
    (at.project / "pyproject.toml").write_text('[project]\nname = "p"\nversion = "1.0"\n')
    return at.run("pdm", "pdm", "publish", "--no-build", "-r", root)


def poetry(at: ToolHome, root: str) -> Done:
    (at.project / "pyproject.toml").write_text(
        '[project]\nname = "ward-greeting"\nversion = "1.0"\n'
    )
    variables = {"POETRY_REPOSITORIES_OURS_URL": root}
    return at.run("poetry", "poetry", "publish", "--no-interaction", "-r", "ours", **variables)


WAYS: list[Callable[[ToolHome, str], Done]] = [
    uv_always,
    uv_with_a_user_name,
    uv_publish,
    pip_by_import,
    pip_by_subprocess,
    twine,
    pdm,
    poetry,
]
every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


@pytest.fixture
def tool_home(names: RealNames) -> Iterator[ToolHome]:
    """A home in which alice has logged in to the private index, by https."""
    with Home() as home:
        it = ToolHome(home, names.inside)
        trusted = str(names.authority)
        home.environment |= {"REQUESTS_CA_BUNDLE": trusted, "SSL_CERT_FILE": trusted}
        it.log_in(f"https://{PRIVATE}/")
        it.set_up("uv")
        names.seen()
        yield it


@needs_namespaces
@every_way
def test_what_is_stored_for_https_goes_there(
    way: Callable[[ToolHome, str], Done], tool_home: ToolHome, names: RealNames
) -> None:
    result = way(tool_home, f"https://{PRIVATE}/")
    assert [r for r in names.seen() if r.user == ALICE and r.secret], said(result)


@needs_namespaces
@every_way
def test_it_does_not_go_to_http_on_the_same_host(
    way: Callable[[ToolHome, str], Done], tool_home: ToolHome, names: RealNames
) -> None:
    result = way(tool_home, f"http://{PRIVATE}/")
    assert result.returncode != 0
    assert [r for r in names.seen() if r.secret] == []


@every_way
def test_it_goes_to_no_other_port_of_the_host(
    way: Callable[[ToolHome, str], Done], stage: Stage
) -> None:
    stage.log_in(stage.url)
    stage.set_up("uv")
    with RecordingProxy(stage.server.connect) as other:
        way(stage, other.url)
        assert [r for r in other.requests if r.secret] == []
    result = way(stage, stage.url)
    assert [r for r in stage.front.requests if r.user == ALICE and r.secret], said(result)


@pytest.mark.parametrize("spelling", ["{}", "{}:443", "http://{}", "http://{}:443"])
def test_nothing_answers_for_a_host_alone(spelling: str, home: Home) -> None:
    it = ToolHome(home)
    it.log_in(f"https://{PRIVATE}/")
    it.set_up()
    keyring = home.path / ".local/bin/keyring"
    service = spelling.format(PRIVATE)
    for asked in (["get", service, ALICE], ["get", service, "--mode", "creds"]):
        result = home.run(keyring, *asked)
        assert (result.returncode, said(result)) == (1, "")
    assert home.run(keyring, "get", f"https://{PRIVATE}/", ALICE).stdout.strip() == SECRET
