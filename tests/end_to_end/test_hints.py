"""A hint helps: its command is run as it stands there, and then the first command succeeds."""

from __future__ import annotations

import os
import re
import shlex
import sys
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.macaroons import token_of
from support.policy import follow_rule, rules
from support.terminal import Typist

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

    from support.home import Home
    from support.servers.index_server import IndexServer

URL = "https://pypi.example/"


def command_of(told: str) -> str:
    """Return the command in the hint of an error."""
    (hint,) = re.findall("(?m)^hint: (.*)$", told)
    return str(re.findall("`([^`]+)`", hint)[0])


def follow(home: Home, told: str, *more: str, stdin: str = "") -> CompletedProcess[str]:
    """Run the command of a hint."""
    words = [*shlex.split(command_of(told)), *more]
    program = PROGRAMS / "auth" if words[0] == "auth" else words[0]
    return home.run(program, *words[1:], stdin=stdin)


def test_nothing_stored_leads_to_the_login(home: Home) -> None:
    told = home.refused("token", "testpypi")
    token = token_of("test.pypi.org")
    assert follow(home, told, "--token", "-", stdin=token).returncode == 0
    assert home.done("token", "testpypi") == f"{token}\n"


def test_a_token_of_the_other_index_leads_to_where_it_belongs(home: Home) -> None:
    token = token_of("test.pypi.org")
    told = home.refused("login", "--token", "-", stdin=token)
    assert follow(home, told, "--token", "-", stdin=token).returncode == 0
    assert home.done("token", "testpypi") == f"{token}\n"


@pytest.mark.parametrize(
    "command", [["token", URL], ["login", URL, "-u", "bob", "--password", "x"]]
)
def test_a_lock_leads_to_the_unlocking(home: Home, command: list[str]) -> None:
    home.log_in(URL, "s3cret")
    home.done("lock")
    assert follow(home, home.refused(*command)).returncode == 0
    home.done(*command)


def test_an_agent_that_may_not_be_started_leads_to_its_start(home: Home) -> None:
    home.environment["TOKENWARD_NO_AUTOSTART"] = "1"
    told = home.refused("list")
    assert follow(home, told).returncode == 0
    home.done("list")


def test_a_directory_that_is_open_to_others_leads_to_its_mode(home: Home) -> None:
    home.log_in(URL, "s3cret")
    for command in (
        ("token", URL),
        ("unlock",),
        ("login", URL, "-u", "alice", "--password", "s3cret"),
    ):
        home.done("agent", "stop")
        (home.path / ".local/share/tokenward").chmod(0o755)
        told = home.refused(*command)
        assert command_of(told).startswith("chmod 700 ")
        assert follow(home, told).returncode == 0
        home.done(*command)
    assert home.done("token", URL) == "s3cret\n"


def test_a_file_of_a_passphrase_that_others_can_read_leads_to_its_mode(home: Home) -> None:
    phrase = home.path / "phrase"
    phrase.write_text("phrase\n")
    phrase.chmod(0o644)
    home.environment["TOKENWARD_PASSPHRASE_FILE"] = str(phrase)
    told = home.refused("login", URL, "-u", "alice", "--password", "s3cret")
    assert follow(home, told).returncode == 0
    home.log_in(URL, "s3cret")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads and writes everywhere")
@pytest.mark.skipif(sys.platform == "win32", reason="a mode says nothing there")
def test_what_its_owner_has_closed_leads_to_its_mode(home: Home) -> None:
    vault = home.path / ".local/share/tokenward/disabled.vault"
    login = ("login", URL, "-u", "alice", "--password")

    def leads(path: Path, mode: int, secret: str) -> None:
        path.chmod(mode)
        told = home.refused(*login, secret)
        assert f": the mode of {path} is {mode:o}." in told
        assert follow(home, told).returncode == 0
        home.done(*login, secret)
        assert home.done("token", URL) == f"{secret}\n"

    leads(vault.parent.parent, 0o500, "first")  # our own folder does not exist yet
    leads(vault.parent, 0o500, "second")
    home.done("agent", "stop")
    leads(vault, 0o000, "third")
    home.done("agent", "stop")
    leads(vault.parent, 0o000, "fourth")
    home.done("agent", "stop")
    state = home.path / ".local/state"
    state.rename(state.with_name("before"))
    state.mkdir(mode=0o500)
    told = home.refused("list")
    assert f"cannot be created: Permission denied; run `chmod u+rwx {state}`." in told


def test_the_same_login_again_says_so_and_leads_to_the_index(
    home: Home, index: IndexServer
) -> None:
    words = ("login", index.url, "-u", "alice", "--password")
    home.done(*words, "correct horse battery staple")
    told = home.said(*words, "correct horse battery staple")
    assert "in the file vault again: it is the one that was stored just now." in told
    shown = follow(home, told)
    assert "accepts the credential" in shown.stdout, shown
    for more in ("--sealed",), ("--sealed",), ():  # of what is sealed a login learns nothing
        said = home.said(*words, "another", *more)
        assert "Replaced the password of alice" in said
        assert "again" not in said


def test_a_token_for_another_project_leads_to_the_login_of_one_beside_it(home: Home) -> None:
    for_other, for_mine = (token_of("pypi.org", it, f'[1,["{it}"]]') for it in ("other", "mine"))
    home.done("login", "--token", for_other)
    told = home.refused("token", "--project", "mine")
    assert "is for `other` alone, and not for `mine`." in told
    assert follow(home, told, "--token", "-", stdin=for_mine).returncode == 0
    for project in ("mine", "other"):
        assert home.answer("token", "--project", project)["projects"] == [project]


@pytest.mark.skipif(sys.platform != "linux", reason="a peer's terminal is read in /proc")
@pytest.mark.parametrize("before", ["", '[[policy]]\nprogram = "deploy"\ndecide = "deny"\n\n'])
def test_a_prompt_that_nothing_can_show_leads_to_the_rule_that_allows_it(
    home: Home, before: str
) -> None:
    home.log_in(URL, "s3cret")
    rules(home, f'exec = "env"\n{before}[[policy]]\ndecide = "ask"\n')
    told = home.refused("token", URL)
    assert "hint: try again in a free terminal, or put these lines before line " in told
    follow_rule(told)
    assert home.done("token", URL) == "s3cret\n"
    assert home.run(PROGRAMS / "keyring", "get", URL, "alice").returncode == 1  # the tool alone


@pytest.fixture
def closed(home: Home) -> Home:
    """A home whose vault opens by the passphrase `phrase`, which nothing gives."""
    (home.path / "phrase").write_text("phrase\n")
    (home.path / "phrase").chmod(0o600)
    home.log_in(URL, "s3cret", TOKENWARD_PASSPHRASE_FILE=str(home.path / "phrase"))
    home.done("agent", "restart")
    return home


def test_a_restart_that_closes_a_vault_says_so(closed: Home) -> None:
    said = closed.said("agent", "restart")
    assert "The file vault is closed now.\nhint: `auth unlock`\n" in said
    closed.done("unlock", TOKENWARD_PASSPHRASE_FILE=str(closed.path / "phrase"))
    closed.done("passphrase", "remove")
    assert "closed" not in closed.said("agent", "restart")


def test_an_unlock_without_a_terminal_does_not_lead_to_itself(closed: Home) -> None:
    told = closed.refused("unlock")
    assert "no terminal" in told
    assert "`auth unlock`" not in told
    assert "TOKENWARD_PASSPHRASE_FILE" in told
    closed.done("unlock", TOKENWARD_PASSPHRASE_FILE=str(closed.path / "phrase"))


def test_a_wrong_passphrase_of_a_file_names_the_file(closed: Home) -> None:
    wrong = closed.path / "wrong"
    wrong.write_text("wrong\n")
    wrong.chmod(0o600)
    told = closed.refused("unlock", TOKENWARD_PASSPHRASE_FILE=str(wrong))
    assert f"{wrong} (TOKENWARD_PASSPHRASE_FILE) does not open the vault." in told
    assert "`auth unlock`" not in told


def test_a_closed_vault_leads_to_a_command_that_asks_on_a_terminal(closed: Home) -> None:
    assert command_of(closed.refused("token", URL)) == "auth unlock"
    Typist(closed, "unlock").answers_unseen("Passphrase:", "phrase").leaves(0)
    assert closed.done("token", URL) == "s3cret\n"


@pytest.mark.parametrize("wrong", ["lsit", "ls", "whoami", "agent strat", "hepl"])
def test_a_mistyped_command_leads_to_one_that_runs(home: Home, wrong: str) -> None:
    assert follow(home, home.refused(*wrong.split())).returncode == 0


def test_a_broken_pypirc_says_how_its_line_should_be(home: Home) -> None:
    (home.path / ".pypirc").write_text("[pypi]\nusername\n")
    told = home.refused("token", "--format", "json")
    assert ".pypirc is malformed in line 2.\nhint: a line is a heading in [brackets]" in told


def test_removing_everything_is_asked_on_a_terminal(home: Home) -> None:
    home.log_in(URL, "s3cret")
    home.log_in(URL, "another", username="bob")
    shown = (
        Typist(home, "logout", "--all").answers("Remove these 2 credentials? [y/N]", "").leaves(2)
    )
    assert f"The password of bob for {URL}." in shown
    assert "Nothing was removed." in shown
    assert len(home.answer("list")["credentials"]) == 2
    Typist(home, "logout", URL, "--all").answers("Remove these 2 credentials? [y/N]", "y").leaves(0)
    assert home.answer("list")["credentials"] == []


def test_a_script_removes_everything_without_a_question(home: Home) -> None:
    home.log_in(URL, "s3cret")
    assert "[y/N]" not in Typist(home, "logout", "--all", "--yes").leaves(0)
    home.log_in(URL, "s3cret")
    home.done("logout", "--all")


def test_there_is_no_question_where_nothing_is_stored(home: Home) -> None:
    assert "Nothing is stored" in Typist(home, "logout", "--all").leaves(2)
