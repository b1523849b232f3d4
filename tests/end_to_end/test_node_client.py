"""The client for Node in `examples/node`, which was written from docs/PROTOCOL.md alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.macaroons import caveats_of, token_of
from support.tools.system_tools import give

if TYPE_CHECKING:
    from subprocess import CompletedProcess

    from support.home import Home

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "node"
URL = "https://h.example/"

pytestmark = pytest.mark.xdist_group("node")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example as its user has it: installed by npm, from its cache where that has the package."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not on this machine")
    folder = tmp_path_factory.mktemp("client") / "node"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules"))
    install = [npm, "ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("npm has the msgpack package neither in its cache nor from its registry")
    return folder / "credential.js"


def ask(home: Home, client: Path, *arguments: str, **variables: str) -> CompletedProcess[str]:
    give(home, "node")
    return home.run("node", client, *arguments, **variables)


def said(home: Home, client: Path, *arguments: str, **variables: str) -> str:
    """Return what is said where there is no credential."""
    result = ask(home, client, *arguments, **variables)
    assert (result.returncode, result.stdout) == (2, "")
    return result.stderr


def test_it_prints_user_name_and_secret(home: Home, client: Path) -> None:
    home.log_in(URL, "pässword")
    result = ask(home, client, f"{URL}team/")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "alice\npässword\n"


def test_it_reads_a_secret_of_the_longest_kind(home: Home, client: Path) -> None:
    home.log_in(URL, "x" * 65_536)
    assert ask(home, client, URL).stdout == f"alice\n{'x' * 65_536}\n"


def test_the_url_may_be_spelled_in_any_way(home: Home, client: Path) -> None:
    home.log_in(URL, "a")
    for url in ("HTTPS://H.EXAMPLE:443", "https://h.example/./team?x=1#y", "https://h.example./"):
        assert ask(home, client, url).stdout == "alice\na\n"


def test_the_user_name_says_whose(home: Home, client: Path) -> None:
    home.log_in(URL, "a")
    home.log_in(URL, "b", username="bob@corp")
    assert ask(home, client, URL, "bob@corp").stdout == "bob@corp\nb\n"
    assert ask(home, client, "https://bob%40corp:x@h.example/").stdout == "bob@corp\nb\n"
    assert "hint: name one of alice, bob@corp" in said(home, client, URL)


def test_what_the_agent_says_is_handed_on(home: Home, client: Path) -> None:
    home.log_in(URL, "a")
    assert "error: Nothing is stored for" in said(home, client, "https://other.example/")
    home.done("lock")
    assert "hint: `auth unlock`" in said(home, client, URL)


def test_without_an_agent_it_says_how_to_start_one(home: Home, client: Path) -> None:
    assert said(home, client, URL) == (
        "error: No agent is running.\nhint: `auth agent start` starts it\n"
    )


def test_it_finds_the_agent_of_another_directory(home: Home, client: Path) -> None:
    other = {"TOKENWARD_DIR": f"{home.path}/other"}
    home.done("login", URL, "--token", "t", **other)
    try:
        assert ask(home, client, URL, **other).stdout == "__token__\nt\n"
        assert "No agent" in said(home, client, URL)
    finally:
        home.done("agent", "stop", **other)


def test_it_finds_the_agent_where_another_home_took_the_plain_name(
    home: Home, client: Path
) -> None:
    other = {"XDG_DATA_HOME": f"{home.path}/elsewhere"}
    home.done("agent", "start", **other)
    try:
        home.log_in(URL, "a")
        assert ask(home, client, URL).stdout == "alice\na\n"
    finally:
        home.done("agent", "stop", **other)


def test_it_asks_the_agent_that_it_is_told_to_ask(home: Home, client: Path) -> None:
    home.log_in(URL, "a")
    status = home.answer("agent", "status")
    elsewhere = {"XDG_RUNTIME_DIR": "", "TOKENWARD_SOCK": status["socket"]}
    assert ask(home, client, URL, **elsewhere).stdout == "alice\na\n"


def test_it_sends_nothing_where_others_may_put_a_socket(home: Home, client: Path) -> None:
    home.log_in(URL, "a")
    run = home.path / "run" / "tokenward"
    socket = {"TOKENWARD_SOCK": f"{run}/agent.sock"}
    run.chmod(0o777)
    try:
        assert "Other users can write to" in said(home, client, URL, **socket)
        assert "Other users can write to" in said(home, client, URL)  # its record leads there, too
    finally:
        run.chmod(0o700)
    file = home.path / "file"
    file.touch()
    assert "is not a socket of yours" in said(home, client, URL, TOKENWARD_SOCK=str(file))


def test_at_a_shared_socket_it_gets_a_narrowed_token(home: Home, client: Path) -> None:
    home.done("login", "pypi", "--token", "-", stdin=token_of("pypi.org", "shared"))
    path = home.done("share", "--service", "pypi", "--project", "mine").strip()
    result = ask(home, client, "https://upload.pypi.org/legacy/", TOKENWARD_SOCK=path)
    username, token = result.stdout.splitlines()
    assert username == "__token__"
    assert '[1,["mine"]]' in (caveats_of(token) or ())


@pytest.mark.parametrize("runtime", ["", "elsewhere"])
def test_it_finds_the_agent_of_another_environment(home: Home, client: Path, runtime: str) -> None:
    home.log_in(URL, "a")
    there = {"XDG_RUNTIME_DIR": f"{home.path}/{runtime}" if runtime else ""}
    assert ask(home, client, URL, **there).stdout == "alice\na\n"
    (record,) = (home.path / ".local/state/tokenward").glob("*/agent-*")
    record.chmod(0o666)  # anybody may have written it
    assert "No agent" in said(home, client, URL, **there)
