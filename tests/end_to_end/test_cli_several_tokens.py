"""Several tokens for one index, by the commands: which one a command takes, and how one is named."""

from __future__ import annotations

import base64
import json
import sys
from typing import TYPE_CHECKING

import pytest

from support.macaroons import caveats_of, token_of
from support.runs import Index, Publisher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.home import Home

ALL = token_of("pypi.org", "all")
MINE, OTHER = (token_of("pypi.org", name, f'[1,["{name}"]]') for name in ("mine", "other"))


def log_in(home: Home, *secrets: str) -> None:
    for secret in secrets:
        home.done("login", "--token", "-", stdin=f"{secret}\n")


@pytest.fixture
def two(home: Home) -> Home:
    """A home with a token for `mine` and one for `other`."""
    log_in(home, MINE, OTHER)
    return home


def test_a_login_replaces_the_token_for_the_same_projects_and_says_which(home: Home) -> None:
    home.done("login", "--token", MINE)
    said = home.said("login", "--token", OTHER)
    assert "Stored the token for pypi (other) in the file vault." in said
    assert "Stored beside it, for the same account: one for mine." in said
    again = token_of("pypi.org", "again", '[1,["mine"]]')
    assert (
        "Replaced the token for pypi (mine) in the file vault; the one before was stored"
        in home.said("login", "--token", again)
    )
    found = home.answer("login", "--token", OTHER)
    assert (found["replaced"], found["projects"]) == (True, ["other"])


def test_a_list_shows_each(two: Home) -> None:
    held = two.answer("list")["credentials"]
    assert [each["projects"] for each in held] == [["mine"], ["other"]]
    table = two.done("list")
    assert [line.split()[2] for line in table.splitlines()[1:3]] == ["mine", "other"]


def test_a_token_is_that_of_the_project(two: Home) -> None:
    for name in "mine", "other":
        limits = caveats_of(two.done("token", "--project", name).strip())
        assert limits is not None
        assert limits[0] == f'[1,["{name}"]]'
        assert two.answer("token", "--describe", "--project", name)["token"]["projects"] == [name]
    for words in ((), ("--describe",), ("--format", "json"), ("--check",)):
        said = two.refused("token", *words)
        assert "Several tokens of __token__ are stored for" in said
        assert "one for mine, one for other" in said
        assert "hint: name the project with `--project`" in said
    log_in(two, ALL)
    assert two.done("token") == f"{ALL}\n"


def test_a_tool_gets_that_of_the_project_which_it_uploads(two: Home) -> None:
    script = 'printf %s "$TWINE_PASSWORD"'
    done = two.auth("exec", "--env", "--project", "other", "--", "sh", "-c", script)
    assert done.returncode == 0, done.stderr
    limits = caveats_of(done.stdout)
    assert limits is not None
    assert limits[0] == '[1,["other"]]'
    assert "one for mine, one for other" in two.refused("exec", "--env", "--", "true")


def test_a_logout_removes_the_one_that_is_named(two: Home) -> None:
    said = two.refused("logout")
    assert "one for mine, one for other" in said
    assert len(two.answer("list")["credentials"]) == 2
    assert "Removed the token for pypi (mine)." in two.said("logout", "--project", "Mine")
    assert "No credential is stored for pypi" in two.refused("logout", "--project", "mine")
    assert [each["projects"] for each in two.answer("list")["credentials"]] == [["other"]]
    assert "exclude each other" in two.refused("logout", "--all", "--project", "other")
    two.done("logout")
    log_in(two, MINE, OTHER, ALL)
    assert two.answer("logout", "pypi", "--all")["count"] == 3


def test_an_export_has_each_and_a_restore_brings_each_back(two: Home) -> None:
    log_in(two, ALL)
    (two.path / "passphrase").write_text("correct horse")
    (two.path / "passphrase").chmod(0o600)
    words = ("backup", "--passphrase-file", "passphrase")
    two.done("export", *words)
    two.done("logout", "--all")
    two.done("restore", *words)
    held = {json.dumps(each["projects"]) for each in two.answer("list")["credentials"]}
    assert held == {"null", '["mine"]', '["other"]'}
    assert two.done("token") == f"{ALL}\n"
    again = two.answer("restore", *words)["credentials"]
    assert [each["state"] for each in again] == ["already"] * 3


def test_two_sections_of_one_repository_are_imported_as_two(home: Home) -> None:
    sections = "".join(
        f"[{name}]\nrepository = https://upload.pypi.org/legacy/\nusername = __token__\npassword = {secret}\n"
        for name, secret in (("one", MINE), ("two", OTHER))
    )
    pypirc = home.path / ".pypirc"
    pypirc.write_text(f"[distutils]\nindex-servers =\n    one\n    two\n{sections}")
    pypirc.chmod(0o600)
    home.done("import", "pypirc", "--remove")
    assert [each["projects"] for each in home.answer("list")["credentials"]] == [
        ["mine"],
        ["other"],
    ]
    assert MINE not in pypirc.read_text()
    assert OTHER not in pypirc.read_text()


def test_a_share_is_of_the_one_for_its_project(two: Home) -> None:
    assert "one for mine, one for other" in two.refused("share", "--service", "pypi")
    path = str(two.answer("share", "--service", "pypi", "--project", "other")["socket"])
    for words in ((), ("--project", "other")):
        limits = caveats_of(two.done("token", *words, "--ttl", "5m", TOKENWARD_SOCK=path).strip())
        assert limits is not None
        assert limits[0] == '[1,["other"]]'
    log_in(two, token_of("pypi.org", "newer", '[1,["mine"]]'))
    assert two.done("token", "--ttl", "5m", TOKENWARD_SOCK=path)
    log_in(two, token_of("pypi.org", "newer", '[1,["other"]]'))
    assert two.auth("token", "--ttl", "5m", TOKENWARD_SOCK=path).returncode == 2


def test_an_account_wide_one_that_is_shared_is_not_exchanged_for_a_narrower(two: Home) -> None:
    log_in(two, ALL)
    path = str(two.answer("share", "--service", "pypi")["socket"])
    for words in (("--ttl", "5m"), ("--project", "mine")):
        limits = caveats_of(two.done("token", *words, TOKENWARD_SOCK=path).strip())
        assert limits is not None
        assert '[1,["other"]]' not in limits
        assert limits[0].startswith("[0,")


@pytest.fixture
def publisher(home: Home) -> Iterator[Publisher]:
    if sys.platform == "win32":
        pytest.skip("there is no relay on Windows")
    with Publisher(home, Index()) as it:
        for secret in (MINE, OTHER):
            home.done("login", it.index.url, "--token", "-", stdin=f"{secret}\n")
        yield it


def limits_of(authorization: str | None) -> list[str] | None:
    """Return the caveats of the token in a header."""
    assert authorization is not None
    coded = authorization.partition(" ")[2]
    user, _, secret = base64.b64decode(coded).decode().partition(":")
    assert user == "__token__"
    return caveats_of(secret)


def test_an_upload_behind_a_relay_goes_with_the_token_of_its_project(publisher: Publisher) -> None:
    wheels = [publisher.wheel("mine==1.0"), publisher.wheel("other==1.0")]
    words = ("--project", "mine", "--project", "other", "--", publisher.twine(), "upload", *wheels)
    publisher.exec(*words)
    sent = [each.authorization for each in publisher.index.requests if each.method == "POST"]
    assert [(limits_of(each) or [""])[0] for each in sent] == ['[1,["mine"]]', '[1,["other"]]']


def test_what_a_run_reads_goes_with_the_token_of_its_project(publisher: Publisher) -> None:
    command = ("--", "curl", "-s", f"{publisher.index.url}simple/")
    publisher.exec("--project", "other", *command)
    (read,) = publisher.index.requests
    assert (limits_of(read.authorization) or [""])[0] == '[1,["other"]]'
    done = publisher.exec(*command)
    assert done.returncode == 2
    assert "one for mine, one for other" in done.stderr
    assert len(publisher.index.requests) == 1


def test_a_run_that_publishes_nothing_needs_no_one_of_them(two: Home) -> None:
    assert two.auth("exec", "--relay", "--", "true").returncode == 0
