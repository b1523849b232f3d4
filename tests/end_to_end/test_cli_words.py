"""What a tool stored under a word that is no URL, reached by that word and never by another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS

if TYPE_CHECKING:
    from support.home import Home

SECRET = "a-secret-that-poetry-keeps"


def keep(home: Home, word: str, username: str = "ana") -> None:
    """Store SECRET as a tool does."""
    result = home.run(PROGRAMS / "keyring", "set", word, username, stdin=f"{SECRET}\n")
    assert result.returncode == 0, result.stderr


@pytest.fixture
def home_with_a_vault(home: Home) -> Home:
    home.done("login", "https://other.example/", "-u", "ana", "--password", "-", stdin="x")
    return home


@pytest.mark.parametrize("word", ["poetry-repository-ours", "index.example:8443", "index.example"])
def test_a_word_is_shown_and_logged_out_as_it_is_listed(home_with_a_vault: Home, word: str) -> None:
    home = home_with_a_vault
    keep(home, word)
    listed = home.answer("list")["credentials"]
    assert word in [each["service"] for each in listed]
    found = home.answer("token", word)
    assert (found["service"], found["username"], found["token"]) == (word, "ana", SECRET)
    removed = home.answer("logout", word)["removed"]
    assert [each["service"] for each in removed] == [word]
    assert home.auth("token", word).returncode == 2


def test_what_a_host_stands_for_goes_first(home_with_a_vault: Home) -> None:
    home = home_with_a_vault
    keep(home, "other.example")
    assert home.done("token", "other.example") == "x\n"
    home.done("logout", "other.example")
    assert home.done("token", "other.example") == f"{SECRET}\n"
    assert home.auth("token", "https://other.example/").returncode == 2
    assert home.auth("token", "other.example/simple").returncode == 2


def test_a_word_of_several_accounts_has_to_be_told_apart(home_with_a_vault: Home) -> None:
    home = home_with_a_vault
    for username in ("ana", "bob"):
        keep(home, "poetry-repository-ours", username)
    refused = home.auth("logout", "poetry-repository-ours")
    assert refused.returncode == 2
    assert "ana" in refused.stderr
    assert "bob" in refused.stderr
    assert home.done("token", "poetry-repository-ours", "-u", "bob") == f"{SECRET}\n"
    home.done("logout", "poetry-repository-ours", "--all")


def test_a_word_that_nothing_is_stored_under_is_an_unknown_name(home_with_a_vault: Home) -> None:
    for command in ("token", "logout"):
        refused = home_with_a_vault.auth(command, "nowhere")
        assert refused.returncode == 2
        assert refused.stderr.startswith("error: No index is known as nowhere.\nhint: known: pypi")


def test_of_a_word_no_index_can_be_asked(home_with_a_vault: Home) -> None:
    keep(home_with_a_vault, "poetry-repository-ours")
    refused = home_with_a_vault.auth("token", "poetry-repository-ours", "--check")
    assert refused.returncode == 2
    assert refused.stderr == (
        "error: poetry-repository-ours is not the URL of an index, so it cannot be asked.\n"
    )
