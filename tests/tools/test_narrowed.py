"""Children before a real devpi-server that takes tokens: the right project, another, and too late.

What PyPI's own code says of children is held elsewhere, against pypitoken; here a server decides
that was written by others, and an upload is done by twine.
"""

from __future__ import annotations

import base64
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.home import Home
from support.servers.devpi_server import FAKETIME, DevpiServer
from support.servers.recording_proxy import RecordingProxy
from support.tools.environments import programs
from support.tools.stage import Stage
from support.tools.tool_home import ALICE, SECRET, said
from support.tools.wheels import write_named
from tokenward_protocol.index_tokens import derive_text, plan_derivation, token_of_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import CompletedProcess

pytestmark = [pytest.mark.tools, pytest.mark.xdist_group("devpi tokens")]
PROJECT = "ward-greeting"


@pytest.fixture(scope="module")
def server() -> Iterator[DevpiServer]:
    with DevpiServer(ALICE, SECRET, "devpi-tokens") as it:
        yield it


@pytest.fixture
def at(server: DevpiServer) -> Iterator[Stage]:
    with Home() as home, RecordingProxy(server.connect) as front:
        yield Stage(home, server, front)


def store_token(at: Stage, server: DevpiServer, **restrictions: object) -> str:
    """Store a token for the index; a server of devpi wants the user's name beside it."""
    token = server.token(**restrictions)
    url = f"{at.url}{at.index}/"
    at.home.log_in(url, token, username=ALICE)
    return token


def publish(at: Stage, *options: str) -> CompletedProcess[str]:
    """Upload with twine, by way of `auth exec` with these options."""
    twine = (programs("twine") / "twine", "upload", "--non-interactive", at.wheel)
    index = ("--index", f"{at.url}{at.index}/")
    return at.home.run(PROGRAMS / "auth", "exec", "--env", *index, *options, "--", *twine)


def test_an_upload_of_the_right_project_is_taken(at: Stage, server: DevpiServer) -> None:
    token = store_token(at, server)
    result = publish(at, "--project", "Ward.Greeting", "--ttl", "5m")
    assert result.returncode == 0, said(result)
    assert at.published()
    assert token not in result.stdout + result.stderr


def test_an_upload_of_another_project_is_refused_by_the_server(
    at: Stage, server: DevpiServer
) -> None:
    store_token(at, server)
    result = publish(at, "--project", "another")
    assert result.returncode != 0
    assert "403" in said(result)
    assert not at.published()


def test_an_upload_with_nothing_said_is_taken_and_still_without_the_stored_token(
    at: Stage, server: DevpiServer
) -> None:
    token = store_token(at, server)
    assert publish(at).returncode == 0
    assert at.published()
    index = ("--index", f"{at.url}{at.index}/")
    shown = at.home.done(
        "exec", "--env", *index, "--", "sh", "-c", "echo $TWINE_USERNAME $TWINE_PASSWORD"
    )
    user, secret = shown.split()
    assert user == ALICE
    assert token_of_text(secret).scope.caveats > token_of_text(token).scope.caveats


def test_twine_gets_a_token_for_the_project_that_it_uploads_and_nobody_has_to_say_which(
    at: Stage, server: DevpiServer
) -> None:
    store_token(at, server)
    at.set_up("twine")
    url = f"{at.url}{at.index}/"
    twine = ("twine", "twine", "upload", "--non-interactive", "--repository-url", url)
    assert at.run(*twine, at.wheel).returncode == 0
    assert at.published()
    events = at.home.log_lines()
    given = [each for each in events if each["event"] == "fetch"]
    assert given
    for each in given:
        assert (each["narrowed"], each["projects"], each["evidence"]) == (True, [PROJECT], "files")


def test_a_token_that_the_server_bound_to_a_project_is_not_asked_for_another(
    at: Stage, server: DevpiServer
) -> None:
    store_token(at, server, projects=[PROJECT])
    refused = publish(at, "--project", "another")
    assert refused.returncode == 2
    assert f"is for `{PROJECT}` alone, and not for `another`" in refused.stderr
    assert at.front.requests == []
    assert publish(at).returncode == 0


def test_a_child_that_has_ended_is_refused_by_the_server(at: Stage, server: DevpiServer) -> None:
    token, now = server.token(), int(time.time())
    late = derive_text(token, plan_derivation(token_of_text(token), now - 100, now - 1))
    early = derive_text(token, plan_derivation(token_of_text(token), now, now + 600))
    assert [status(server, child) for child in (token, early, late)] == [200, 200, 403]


def status(server: DevpiServer, token: str) -> int:
    """Return what the server says to a token."""
    with closing(server.connect()) as connection:
        pair = base64.b64encode(f"{ALICE}:{token}".encode()).decode()
        connection.request("GET", "/+api", headers={"Authorization": f"Basic {pair}"})
        with connection.getresponse() as answer:
            return answer.status


@pytest.mark.skipif(FAKETIME is None, reason="needs the package faketime")
def test_a_server_whose_clock_is_hours_ahead_takes_children_once_it_was_checked() -> None:
    with (
        DevpiServer(ALICE, SECRET, "devpi-tokens", clock="+3h") as server,
        Home() as home,
        RecordingProxy(server.connect) as front,
    ):
        at = Stage(home, server, front)
        url = f"{at.url}{at.index}/"
        services = f'[services.ours]\nurl = "{url}"\nkind = "devpi"\n'
        at.write(".config/tokenward/config.toml", services)
        store_token(at, server)
        dead = publish(at)
        assert dead.returncode != 0
        assert "403" in said(dead)
        checked = home.auth("token", url, "--check")
        assert checked.returncode == 0, said(checked)
        assert f"accepts the credential of {ALICE}" in checked.stdout
        assert checked.stderr.count("The clock here is 3 hours behind") == 1
        result = publish(at, "--ttl", "1m")
        assert result.returncode == 0, said(result)
        assert at.published()


ONE, TWO = "ward_one-1.0-py3-none-any.whl", "ward_two-1.0-py3-none-any.whl"
TWINE = ("twine", "twine", "upload", "--non-interactive", "--repository-url", "URL")
UV = ("uv", "uv", "publish", "--publish-url", "URL")


@pytest.mark.parametrize(
    ("command", "sent", "limits"),
    [
        ((*TWINE, f"out/{ONE}", f"out/{TWO}"), {"out": [ONE, TWO]}, ["ward-one", "ward-two"]),
        ((*TWINE, f"../elsewhere/{ONE}"), {"../elsewhere": [ONE]}, ["ward-one"]),
        ((*TWINE, "artifacts/*/*"), {"artifacts/1": [ONE], "artifacts/2": [TWO]}, []),
        (UV, {"dist": [ONE, TWO]}, []),
    ],
    ids=["two projects at once", "files elsewhere", "artifacts of two jobs", "a monorepo's root"],
)
def test_no_upload_fails_for_what_is_known_of_it(
    at: Stage,
    server: DevpiServer,
    command: tuple[str, ...],
    sent: dict[str, list[str]],
    limits: list[str],
) -> None:
    store_token(at, server)
    at.set_up("twine", "uv")
    (at.project / "pyproject.toml").write_text('[project]\nname = "ward-one"\nversion = "1.0"\n')
    for folder, files in sent.items():
        (at.project / folder).mkdir(parents=True, exist_ok=True)
        for file in files:
            write_named(at.project / folder, file.partition("-")[0])
    url = f"{at.url.replace('//', f'//{ALICE}@') if command is UV else at.url}{at.index}/"
    result = at.run(*(url if word == "URL" else word for word in command))
    assert result.returncode == 0, said(result)
    assert all(server.holds(file) for files in sent.values() for file in files)
    events = at.home.log_lines()
    given = [each for each in events if each["event"] == "fetch"]
    assert given
    for each in given:
        assert each["narrowed"] is True
        assert sorted(each.get("projects", ())) == limits
