"""`auth restore --previous` with the real program: damage, a yes, and a passphrase."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.terminal import Typist

if TYPE_CHECKING:
    from pathlib import Path

    from support.home import Home

FIRST, SECOND = "https://a.example/", "https://b.example/"


def vault(home: Home) -> Path:
    return home.path / ".local/share/tokenward/disabled.vault"


def filled(home: Home, **variables: str) -> None:
    home.done("login", FIRST, "--token", "first", **variables)
    home.done("login", SECOND, "--token", "second")


def damaged(home: Home, **variables: str) -> None:
    filled(home, **variables)
    home.done("agent", "stop")
    vault(home).write_bytes(b"")


def test_a_damaged_vault_says_what_helps_and_that_helps(home: Home) -> None:
    damaged(home)
    told = home.auth("token", FIRST)
    assert told.returncode == 2
    assert f"error: {vault(home)} cannot be read: it is empty." in told.stderr
    assert "hint: `auth restore --previous` restores the previous generation" in told.stderr
    assert f"file vault (broken): {vault(home)} cannot be read" in home.done("status")

    told = home.auth("restore", "--previous")
    assert told.returncode == 0, told
    assert told.stdout == ""
    went, kept = told.stderr.splitlines()
    assert went.startswith("The file vault went back to generation 2, saved ")
    assert went.endswith(" and holds 1 credential.")
    assert kept.startswith(f"The vault that it replaced is {vault(home)}.damaged-20")
    assert home.done("token", FIRST) == "first\n"


def test_what_came_back_is_one_json_object(home: Home) -> None:
    damaged(home)
    found = home.answer("restore", "--previous")
    assert found["kept"].startswith(f"{vault(home)}.damaged-20")
    assert (found["provider"], found["generation"], found["count"]) == ("disabled", 2, 1)
    assert found["saved"].endswith("Z")


def test_a_vault_that_can_be_read_is_left_alone_where_nobody_says_yes(home: Home) -> None:
    filled(home)
    told = home.auth("restore", "--previous")
    assert told.returncode == 2
    assert f"{vault(home)} is not damaged: it is generation 3" in told.stderr
    assert home.done("token", SECOND) == "second\n"
    no = Typist(home, "restore", "--previous").answers("Go back all the same? [y/N]", "")
    assert "error: Nothing was changed." in no.leaves(2)
    assert home.done("token", SECOND) == "second\n"


def test_a_yes_goes_back_typed_or_as_an_option(home: Home) -> None:
    filled(home)
    yes = Typist(home, "restore", "--previous").answers("Go back all the same? [y/N]", "y")
    assert "holds 1 credential." in yes.leaves(0)
    assert home.auth("token", SECOND).returncode == 2
    home.done("login", SECOND, "--token", "again")
    home.done("restore", "--previous", "--yes")
    assert home.auth("token", SECOND).returncode == 2
    assert home.done("token", FIRST) == "first\n"


def test_a_vault_with_a_passphrase_is_opened_where_that_is_given(home: Home) -> None:
    phrase = home.path / "phrase"
    phrase.touch(mode=0o600)
    phrase.write_text("phrase\n")
    given = {"TOKENWARD_PASSPHRASE_FILE": str(phrase)}
    damaged(home, **given)
    closed = home.auth("restore", "--previous")
    assert "and is not open.\n" in closed.stderr
    assert "`auth unlock`" in closed.stderr
    again = home.auth("restore", "--previous", "--yes", **given)
    assert again.returncode == 2
    assert "No previous generation" in again.stderr
    assert home.done("token", FIRST, **given) == "first\n"


def test_restoring_what_is_not_there_or_not_said_is_an_error(home: Home) -> None:
    assert "There is no vault yet." in home.auth("restore", "--previous").stderr
    assert "`auth restore --previous`" in home.auth("restore").stderr
    home.done("login", FIRST, "--token", "first")
    home.done("logout", FIRST)
    assert "No previous generation" in home.auth("restore", "--previous", "--yes").stderr
