"""The first hour at a terminal: `auth` alone, a login that explains itself, and the daily glance."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from support.macaroons import token_of
from support.terminal import Typist

if TYPE_CHECKING:
    from support.home import Home
    from support.servers.index_server import IndexServer

URL = "https://h.example/"
SECRET = "correct horse battery staple"


def test_auth_alone_says_how_to_begin(home: Home) -> None:
    told = home.done()
    assert "nothing is stored yet" in told
    for command in ("auth setup", "auth login", "auth --help"):
        assert command in told
    assert "auth import" not in told
    assert home.agent_pid() is None


def test_auth_alone_names_the_secrets_that_lie_about(home: Home) -> None:
    (home.path / ".pypirc").write_text("[pypi]\nusername = __token__\npassword = pypi-x\n")
    assert "auth import" in home.done()
    assert "1 secret of ~/.pypirc" in home.done()
    assert "pypi-x" not in home.done()


def test_auth_alone_says_where_one_stands(home: Home) -> None:
    home.log_in(URL, "s3cret")
    assert "unlocked, 1 credential\n" in home.done()
    home.done("lock")
    told = home.done()
    assert "  locked\n" in told
    assert told.index("auth unlock") < told.index("auth list")
    home.done("agent", "stop")
    assert "not running; it starts when it is needed" in home.done()


def test_auth_alone_is_no_error_where_something_is_wrong(home: Home) -> None:
    home.log_in(URL, "s3cret")
    home.done("agent", "stop")
    (home.path / ".local/share/tokenward").chmod(0o755)
    assert "auth doctor" in home.done()


def test_login_says_where_a_token_is_made_and_what_a_passphrase_means(home: Home) -> None:
    person = Typist(home, "login", "--no-check").sees("https://pypi.org/manage/account/token/")
    person.answers_unseen("API token for pypi (not shown):", token_of("pypi.org"))
    person.sees("With a passphrase only you open the vault")
    shown = person.answers("New passphrase", "").leaves(0)
    assert "Stored the token for pypi in the file vault." in shown
    assert "hint: next: `auth setup`" in shown


def test_web_opens_the_page_in_the_browser(home: Home) -> None:
    browser = home.path / "browser"
    browser.write_text('#!/bin/sh\nprintf "%s\\n" "$1" > "$HOME/opened"\n')
    browser.chmod(0o700)
    person = Typist(home, "login", "testpypi", "--web", "--no-check", BROWSER=f"{browser} %s")
    person.answers_unseen("(not shown):", token_of("test.pypi.org"))
    person.answers("New passphrase", "").leaves(0)
    assert (home.path / "opened").read_text() == "https://test.pypi.org/manage/account/token/\n"


def test_web_without_a_known_page_opens_nothing(home: Home) -> None:
    assert "is not known" in home.refused("login", URL, "--web", "-u", "a", "--password", "x")


def test_a_login_on_a_terminal_asks_the_index_and_says_what_it_said(
    home: Home, index: IndexServer
) -> None:
    person = Typist(home, "login", index.url, "-u", "alice")
    person.answers_unseen("Password of alice", "typo").answers("New passphrase", "")
    shown = person.leaves(0)
    assert "warning: It is stored, but the index refuses it: " in shown
    assert "does not accept the credential." in shown
    again = Typist(home, "login", index.url, "-u", "alice")
    shown = again.answers_unseen("Password of alice", SECRET).leaves(0)
    assert "accepts the credential" in shown
    assert home.done("token", index.url) == f"{SECRET}\n"


def test_a_script_and_no_check_ask_no_index(home: Home, index: IndexServer) -> None:
    home.log_in(index.url, "typo")
    person = Typist(home, "login", "--no-check", index.url, "-u", "alice", "--password", "typo")
    assert "does not accept" not in person.leaves(0)
    assert index.requests() == []


def test_an_index_that_cannot_be_reached_is_not_in_the_way(home: Home) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        person = Typist(home, "login", url, "-u", "alice", "--password", "s3cret")
        shown = person.answers("New passphrase", "").leaves(0)
    assert "It was not tried: 127.0.0.1" in shown
    assert home.done("token", url) == "s3cret\n"


def test_an_index_that_says_nothing_is_given_up_and_the_wait_is_shown(home: Home) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        person = Typist(home, "login", f"http://{host}/", "-u", "alice", "--password", "s3cret")
        person.answers("New passphrase", "").sees(f"Asking {host} ...")
        assert "did not answer in 5 seconds" in person.leaves(0)


def test_setup_can_be_looked_at_first(home: Home) -> None:
    told = home.said("setup", "keyring", "--dry-run")
    assert "keyringrc.cfg will be created" in told
    assert told.endswith("Nothing was written: this would write 3 files.\n")
    assert not (home.path / ".local/bin/keyring").exists()
    home.done("setup", "keyring")
    assert "set up already" in home.said("setup", "keyring", "--dry-run")


def test_login_says_when_setup_should_run_again(home: Home) -> None:
    home.environment["PATH"] = f"{home.path}/.local/bin:{home.environment['PATH']}"
    settings = home.path / ".config/uv/uv.toml"
    settings.parent.mkdir()
    settings.write_text('[[index]]\nname = "corp"\nurl = "https://h.example/simple/"\n')
    home.done("setup", "keyring", "uv", "pip")
    person = Typist(home, "login", "--no-check", "corp", "-u", "alice", "--password", "s3cret")
    shown = person.answers("New passphrase", "").leaves(0)
    assert "hint: next: `auth setup`, by which uv will use it" in shown
    home.done("setup", "keyring", "uv", "pip")
    shown = Typist(
        home, "login", "--no-check", "corp", "-u", "alice", "--password", "another"
    ).leaves(0)
    assert "hint: next: `twine upload dist/*`" in shown


@pytest.mark.parametrize("columns", [80, 40])
@pytest.mark.parametrize(
    "command", [[], ["--help"], ["list"], ["status"], ["log"], ["doctor"], ["login", "--help"]]
)
def test_no_line_is_wider_than_the_terminal(home: Home, columns: int, command: list[str]) -> None:
    home.done("login", "--token", token_of("pypi.org"))
    home.log_in(URL, "s3cret")
    person = Typist(home, *command, COLUMNS=str(columns))
    shown = person.leaves(0)
    long = [line.strip() for line in shown.splitlines() if len(line) > columns]
    assert [line for line in long if " " in line and "`" not in line] == []


@pytest.mark.parametrize(
    ("variables", "colored"),
    [({"NO_COLOR": ""}, True), ({}, False), ({"NO_COLOR": "", "TERM": "dumb"}, False)],
)
def test_colour_is_only_where_it_can_be_shown(
    home: Home, variables: dict[str, str], colored: bool
) -> None:
    home.log_in(URL, "s3cret")
    for command in ("list", "status", "--help"):
        assert ("\x1b[" in Typist(home, command, **variables).leaves(0)) is colored
    assert "\x1b[" not in home.done("list", NO_COLOR="")
    assert "\x1b[" in home.done("list", "--color", "always")


def test_a_list_has_no_column_that_says_the_same_everywhere(home: Home) -> None:
    home.log_in(URL, "s3cret")
    home.log_in("https://other.example/", "s3cret")
    assert home.done("list").splitlines()[0].split("  ")[-1].strip() == "LAST USED"
    home.log_in("https://third.example/", "s3cret", "--lifetime", "8h")
    heading = home.done("list").splitlines()[0]
    assert "EXPIRES" in heading
    assert "VAULT" not in heading
    assert "VAULT" in home.done("list", "-v").splitlines()[0]


def test_status_answers_in_its_first_line(home: Home) -> None:
    assert home.done("status").startswith("Not running: ")
    home.log_in(URL, "s3cret")
    assert home.done("status").startswith(f"Unlocked: 1 credential ({URL})\n")
    home.done("lock")
    assert home.done("status").startswith("Locked: tools get nothing until you run auth unlock\n")
    home.done("unlock")
    assert "memory" not in home.done("status")
    assert str(home.path) in home.done("status", "-v")


def test_a_log_on_a_terminal_is_told_by_days(home: Home) -> None:
    home.log_in(URL, "s3cret")
    home.done("lock")
    home.refused("token", URL)
    shown = Typist(home, "log", COLUMNS="80").leaves(0)
    assert shown.startswith("Today\n")
    assert "auth: login" in shown
    assert "REFUSED" in shown
    assert "WHEN" in home.done("log")
