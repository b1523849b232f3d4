"""`git-credential-tokenward`, with the real git and a real server, and by the protocol."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from support.servers.git_server import git_server
from support.servers.http_server import basic
from support.tools.system_tools import give

if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import CompletedProcess

    from support.home import Home
    from support.servers.http_server import Loopback


@pytest.fixture
def server(home: Home) -> Iterator[Loopback]:
    """A server with one empty repository, `team/repo.git`, for alice; `home` uses the helper."""
    give(home, "git")
    repositories = home.path / "repositories"
    for command in (
        ("init", "--quiet", "--bare", str(repositories / "team" / "repo.git")),
        ("config", "--global", "credential.helper", "tokenward"),
    ):
        assert home.run("git", *command).returncode == 0
    with git_server(repositories, "alice", "pässword") as it:
        yield it


def clone(home: Home, server: Loopback, **variables: str) -> CompletedProcess[str]:
    """Clone into a new folder; nobody can be asked."""
    folder = f"clone-{len(server.requests)}"
    url = f"{server.url}team/repo.git"
    return home.run("git", "clone", url, folder, GIT_TERMINAL_PROMPT="0", **variables)


def ask(home: Home, operation: str, text: str, **variables: str) -> CompletedProcess[str]:
    return home.run("git-credential-tokenward", operation, stdin=text, **variables)


def quiet(home: Home, operation: str, text: str, **variables: str) -> str:
    """Return the answer of an operation that has nothing to say to anybody."""
    result = ask(home, operation, text, **variables)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def stored(home: Home) -> list[tuple[str, str]]:
    listed = home.answer("list")["credentials"]
    return [(entry["service"], entry["username"]) for entry in listed]


def test_git_clones_with_a_stored_credential(home: Home, server: Loopback) -> None:
    home.done("login", server.url, "-u", "alice", "--password", "pässword")
    result = clone(home, server)
    assert result.returncode == 0, result.stderr
    assert server.seen()[-1] == basic("alice", "pässword")


def test_git_is_turned_away_without_one(home: Home, server: Loopback) -> None:
    result = clone(home, server)
    assert result.returncode != 0
    assert "error:" not in result.stderr
    assert set(server.seen()) == {None}


def test_what_git_was_handed_is_not_stored_again_for_each_path(
    home: Home, server: Loopback
) -> None:
    home.done("login", server.url, "-u", "alice", "--password", "pässword")
    home.run("git", "config", "--global", "credential.useHttpPath", "true")
    assert clone(home, server).returncode == 0
    assert stored(home) == [(server.url, "alice")]


def test_what_a_variable_or_pypirc_holds_is_not_stored_by_git(home: Home, server: Loopback) -> None:
    given = {
        "UV_PUBLISH_URL": server.url,
        "UV_PUBLISH_USERNAME": "alice",
        "UV_PUBLISH_PASSWORD": "pässword",
    }
    assert clone(home, server, **given).returncode == 0
    assert stored(home) == []
    (home.path / ".pypirc").write_text(
        "[distutils]\nindex-servers = ours\n"
        f"[ours]\nrepository = {server.url}\nusername = alice\npassword = pässword\n"
    )
    assert clone(home, server).returncode == 0
    assert stored(home) == []


def test_a_refused_credential_is_given_up_as_git_has_it(home: Home, server: Loopback) -> None:
    home.done("login", server.url, "-u", "alice", "--password", "old")
    assert clone(home, server).returncode != 0
    assert stored(home) == []


def test_a_refused_credential_that_covers_more_than_what_git_asked_for_stays(
    home: Home, server: Loopback
) -> None:
    home.done("login", server.url, "-u", "alice", "--password", "old")
    home.run("git", "config", "--global", "credential.useHttpPath", "true")
    assert clone(home, server).returncode != 0
    assert stored(home) == [(server.url, "alice")]


def test_what_a_person_told_git_is_a_login(home: Home, server: Loopback) -> None:
    asked = home.path / "askpass"
    asked.write_text('#!/bin/sh\ncase "$1" in User*) echo alice;; *) echo pässword;; esac\n')
    asked.chmod(0o700)
    assert clone(home, server, GIT_ASKPASS=str(asked)).returncode == 0
    assert home.done("token", server.url) == "pässword\n"
    assert clone(home, server).returncode == 0


def test_a_locked_vault_is_said_where_a_person_sees_it(home: Home, server: Loopback) -> None:
    home.done("login", server.url, "-u", "alice", "--password", "pässword")
    home.done("lock")
    result = clone(home, server)
    assert result.returncode != 0
    assert "hint: `auth unlock`" in result.stderr


def test_where_no_agent_may_start_git_goes_on_without_us(home: Home, server: Loopback) -> None:
    result = clone(home, server, TOKENWARD_NO_AUTOSTART="1")
    assert result.returncode != 0
    assert "terminal prompts disabled" in result.stderr


def test_an_answer_is_user_name_and_password_and_the_end_where_there_is_one(home: Home) -> None:
    home.done("login", "https://h.example", "-u", "alice", "--password", "p=w")
    asked = "protocol=https\nhost=h.example\nwwwauth[]=Basic\nnew-attribute=1\n\n"
    assert quiet(home, "get", asked) == "username=alice\npassword=p=w\n"
    home.done("login", "https://h.example", "-u", "alice", "--password", "p", "--lifetime", "1h")
    *_, end = quiet(home, "get", asked).splitlines()
    key, _, moment = end.partition("=")
    assert key == "password_expiry_utc"
    assert 0 < int(moment) - time.time() <= 3601


def test_a_user_name_filters(home: Home) -> None:
    home.done("login", "https://h.example", "-u", "alice", "--password", "a")
    home.done("login", "https://h.example", "-u", "bob", "--password", "b")
    asked = "protocol=https\nhost=h.example\nusername={}\n"
    assert quiet(home, "get", asked.format("bob")) == "username=bob\npassword=b\n"
    assert quiet(home, "get", asked.format("carol")) == ""
    result = ask(home, "get", "protocol=https\nhost=h.example\n")
    assert result.stdout == ""
    assert "alice and bob" in result.stderr


@pytest.mark.parametrize(
    "asked",
    [
        "protocol=http\nhost=h.example\n",
        "protocol=https\nhost=h.example:8443\n",
        "protocol=https\nhost=x@h.example\n",
        "protocol=https\nhost=h.example/other\n",
        "protocol=smtp\nhost=h.example\n",
        "protocol=cert\npath=h.example\n",
        "host=h.example\n",
        "\nprotocol=https\nhost=h.example\n",
    ],
)
def test_any_other_place_is_a_silent_miss(home: Home, asked: str) -> None:
    home.done("login", "https://h.example", "-u", "alice", "--password", "pw")
    assert quiet(home, "get", asked) == ""
    quiet(home, "store", f"{asked}username=eve\npassword=e\n")
    quiet(home, "erase", asked)
    assert stored(home) == [("https://h.example/", "alice")]


def test_a_path_is_encoded_as_in_a_url(home: Home) -> None:
    said = "protocol=https\nhost=h.example\npath=a b/50%?#.git\nusername=alice\npassword=pw\n"
    ask(home, "store", said)
    assert stored(home) == [("https://h.example/a%20b/50%25%3F%23.git/", "alice")]


def test_a_password_that_is_over_is_not_stored_and_one_that_ends_is_until_then(home: Home) -> None:
    said = "protocol=https\nhost=h.example\nusername=a\npassword=p\npassword_expiry_utc={}\n"
    quiet(home, "store", said.format(1))
    assert stored(home) == []
    ask(home, "store", said.format(int(time.time()) + 3600))
    assert home.answer("list")["credentials"][0]["expires"]


def test_erase_means_this_user_and_this_password(home: Home) -> None:
    home.done("login", "https://h.example", "-u", "alice", "--password", "new")
    said = "protocol=https\nhost=h.example\nusername={}\npassword={}\n"
    for user, password in (("alice", "old"), ("bob", "new")):
        quiet(home, "erase", said.format(user, password))
    assert stored(home) == [("https://h.example/", "alice")]
    quiet(home, "erase", said.format("alice", "new"))
    assert stored(home) == []


def test_an_unknown_operation_is_passed_over(home: Home) -> None:
    assert quiet(home, "capability", "whatever") == ""


@pytest.mark.parametrize("text", ["no equals sign\n", "password=a\0b\n"])
def test_what_git_would_not_write_is_refused(home: Home, text: str) -> None:
    result = ask(home, "store", f"protocol=https\nhost=h.example\nusername=a\n{text}")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "error: Standard input is not a credential description of git.\n"


def test_what_git_could_not_read_is_not_written(home: Home) -> None:
    home.done("login", "https://h.example", "-u", "alice", "--password", "a\nhost=evil.example")
    result = ask(home, "get", "protocol=https\nhost=h.example\n")
    assert (result.returncode, result.stdout) == (2, "")
    assert "has a line break, which git cannot read" in result.stderr


def test_run_by_a_person_it_says_who_runs_it(home: Home) -> None:
    result = home.run("git-credential-tokenward")
    assert result.returncode == 2
    assert "git config --global credential.helper tokenward" in result.stderr


OTHER = "https://other.example/"


@pytest.mark.parametrize("gone", [False, True])
def test_a_closed_vault_keeps_no_other_helper_from_what_was_never_stored(
    home: Home, server: Loopback, *, gone: bool
) -> None:
    home.done("login", OTHER, "-u", "ana", "--password", "x")
    home.done("lock")
    variables = {"TOKENWARD_SOCK": str(home.path / "gone.sock")} if gone else {}
    kept = home.path / ".git-credentials"
    kept.write_text(f"http://alice:p%C3%A4ssword@{server.netloc}\n")
    kept.chmod(0o600)
    home.run("git", "config", "--global", "--add", "credential.helper", "store")
    result = clone(home, server, **variables)
    assert result.returncode == 0, result.stderr
    assert quiet(home, "get", "protocol=https\nhost=never.example\n", **variables) == ""
    assert quiet(home, "erase", "protocol=https\nhost=never.example\n", **variables) == ""


def test_that_a_vault_is_locked_is_said_once_for_one_command(home: Home, server: Loopback) -> None:
    home.done("login", server.url, "-u", "alice", "--password", "pässword")
    home.done("lock")
    kept = home.path / ".git-credentials"
    kept.write_text(f"http://alice:p%C3%A4ssword@{server.netloc}\n")
    kept.chmod(0o600)
    home.run("git", "config", "--global", "--add", "credential.helper", "store")
    url = f"{server.url}team/repo.git"
    command = f"git clone {url} one && git clone {url} two"
    for _ in range(2):
        result = home.run("setsid", "sh", "-c", f"{command}; rm -r one two")
        assert result.stderr.count("`auth unlock`") == 1, result.stderr
