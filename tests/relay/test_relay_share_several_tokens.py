"""One relay share for projects that have a token each at one index."""

from __future__ import annotations

import base64
import sys
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.macaroons import caveats_of, token_of
from support.relay.shares import CURL, SharedIndex, make_wheel
from support.servers.http_server import basic

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a relay is for Linux")

WIDE = token_of("pypi.org", "wide", '[1,["one","two"]]')
ONE, TWO = (token_of("pypi.org", name, f'[1,["{name}"]]') for name in ("one", "two"))


@pytest.fixture
def corp() -> Iterator[SharedIndex]:
    with SharedIndex() as found:
        yield found


def log_in(corp: SharedIndex, *tokens: str) -> None:
    for token in tokens:
        where = f"{corp.index.url}legacy/"
        corp.home.done("login", where, "--token", "-", "--no-check", stdin=f"{token}\n")


def used(corp: SharedIndex, path: str, project: str) -> list[str]:
    """Publish a project at the near end of a share; return the limits of the token that was used."""
    wheel = make_wheel(corp.home.path / "dist", project, "1.0")
    seen = len(corp.index.requests)
    upload = (str(PROGRAMS / "twine"), "upload", "--non-interactive", str(wheel))
    corp.near(path, *upload)
    (sent,) = [each for each in corp.index.requests[seen:] if each.method == "POST"]
    assert sent.authorization is not None
    user, _, token = base64.b64decode(sent.authorization.split()[1]).decode().partition(":")
    assert user == "__token__"
    limits = caveats_of(token)
    assert limits is not None
    return limits


def test_each_upload_takes_the_narrowest_token_that_covers_its_project(corp: SharedIndex) -> None:
    log_in(corp, ONE, TWO)
    path = corp.share("--project", "one", "--project", "two")
    for name in ("one", "two"):
        assert used(corp, path, name)[0] == f'[1,["{name}"]]'
    (share,) = corp.home.answer("status")["shares"]
    assert share["projects"] == ["one", "two"]
    log_in(corp, WIDE)
    assert used(corp, path, "one")[0] == '[1,["one"]]'
    assert basic("ana", "s3cret-of-the-index") not in {
        each.authorization for each in corp.index.requests if each.method == "POST"
    }
    assert "one-1.0" in corp.near(path, *CURL, f"{corp.page}one/").stdout


def test_it_ends_with_any_of_its_tokens_and_is_refused_where_one_covers_nothing(
    corp: SharedIndex,
) -> None:
    log_in(corp, ONE, TWO)
    path = corp.share("--project", "one", "--project", "two")
    corp.home.done("logout", f"{corp.index.url}legacy/", "--project", "two")
    assert "This ended the share" not in corp.near(path, "true").stderr
    assert corp.near(path, "true").returncode == 2
    log_in(corp, TWO)
    command = ("share", "--relay", "--service", "corp", "--project", "one", "--project", "three")
    assert "which is meant for three is not certain" in corp.home.refused(*command)
    assert corp.home.answer("status")["shares"] == []


def test_status_has_an_object_for_each_service_of_a_socket(corp: SharedIndex) -> None:
    other = f"{corp.index.url}other/simple/"
    path = corp.share("--service", other, "--project", "one")
    found = corp.home.answer("status")["shares"]
    assert [(each["socket"], each["service"], each["projects"]) for each in found] == [
        (path, f"{corp.index.url}legacy/", ["one"]),
        (path, other, None),
    ]


def test_the_policy_judges_each_of_them(corp: SharedIndex) -> None:
    log_in(corp, ONE, TWO)
    path = corp.share("--project", "one", "--project", "two")
    corp.policy('[[policy]]\nproject = "one"\ndecide = "deny"\n')
    assert used(corp, path, "two")[0] == '[1,["two"]]'
    wheel = make_wheel(corp.home.path / "dist", "one", "1.0")
    upload = (str(PROGRAMS / "twine"), "upload", "--non-interactive", str(wheel))
    assert "The policy denies" in corp.near(path, *upload).stderr
