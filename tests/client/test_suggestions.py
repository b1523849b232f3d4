"""A mistyped word leads to the one that was meant, and never to a word that is not there."""

from __future__ import annotations

import pytest

from tokenward import cli
from tokenward.errors import CommandError, HelpShown
from tokenward.settings.service_names import Definition, Names
from tokenward.setup import parts
from tokenward.ui.suggestions import COMMAND_WORDS, OPTION_WORDS


def hint_for(*argv: str) -> str:
    """Return the hint of a wrong command line."""
    with pytest.raises(CommandError) as caught:
        command, rest = cli.command_of(argv)
        cli.parser_of(command).read(rest)
    return caught.value.hint


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("logn", "login"),
        ("lgoin", "login"),
        ("Login", "login"),
        ("tokn", "token"),
        ("stauts", "status"),
        ("ls", "list"),
        ("whoami", "status"),
        ("rm", "logout"),
        ("hlep", "help"),
        ("agent restrat", "agent restart"),
        ("agent stpo", "agent stop"),
        ("passphrase sett", "passphrase set"),
    ],
)
def test_a_mistyped_command_leads_to_the_command(typed: str, meant: str) -> None:
    assert hint_for(*typed.split()) == f"did you mean `auth {meant}`?"


@pytest.mark.parametrize(
    ("argv", "meant"),
    [
        ("login --tokne x", "--token"),
        ("login --usernam x", "--username"),
        ("login --pass x", "--password"),
        ("login --with-token", "--token -"),
        ("login --password-stdin", "--password -"),
        ("status --json", "--format json"),
        ("setup -y", "--yes"),
        ("export f --force", "--yes"),
        ("--qiet", "--quiet"),
    ],
)
def test_a_mistyped_option_leads_to_the_option(argv: str, meant: str) -> None:
    assert hint_for(*argv.split()) == f"did you mean `{meant}`?"


@pytest.mark.parametrize("argv", ["login --index corp", "token --repository x", "logout -r corp"])
def test_an_index_that_is_given_by_an_option_is_said_to_stand_alone(argv: str) -> None:
    assert (
        hint_for(*argv.split())
        == f"the index stands alone, as in `auth {argv.split(maxsplit=1)[0]} testpypi`"
    )


@pytest.mark.parametrize("argv", ["frobnicate", "login --frobnicate", "agent frobnicate"])
def test_a_word_that_is_close_to_nothing_leads_to_the_help(argv: str) -> None:
    assert "--help`" in hint_for(*argv.split())


def test_an_option_is_suggested_only_where_it_is() -> None:
    assert hint_for("lock", "--force") == "`auth lock --help`"
    assert hint_for("exec", "--json") == "`auth exec --help`"


def test_every_suggested_command_and_option_exists() -> None:
    assert set(COMMAND_WORDS.values()) <= set(cli.COMMANDS)
    options = {
        option
        for command in cli.COMMANDS
        for option in cli.parser_of(command)._option_string_actions
    }
    assert {option.partition(" ")[0] for option in OPTION_WORDS.values()} <= options


def test_words_of_other_tools_hide_no_command() -> None:
    assert not COMMAND_WORDS.keys() & {word for name in cli.COMMANDS for word in name.split()[:1]}


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["help"], "Log in to package indexes once"),
        (["help", "login"], "usage: auth login"),
        (["help", "agent"], "usage: auth agent COMMAND"),
        (["help", "agent", "stop"], "usage: auth agent stop"),
        (["-V"], "tokenward "),
        (["login", "-V"], "tokenward "),
    ],
)
def test_help_and_the_version_can_be_asked_for_as_elsewhere(argv: list[str], shown: str) -> None:
    with pytest.raises(HelpShown) as caught:
        command, rest = cli.command_of(argv)
        cli.parser_of(command).read(rest)
    assert str(caught.value).startswith(shown)


@pytest.mark.parametrize(
    ("typed", "meant"), [("pyp", "pypi"), ("test-pypi", "testpypi"), ("crop", "corp")]
)
def test_a_mistyped_index_leads_to_the_known_one(typed: str, meant: str) -> None:
    names = Names([Definition("corp", "https://corp.example/", "config.toml")])
    with pytest.raises(CommandError) as caught:
        names.resolve(typed)
    assert caught.value.hint.startswith(f"did you mean {meant}? known: pypi, testpypi, corp;")


def test_a_mistyped_tool_leads_to_the_known_one() -> None:
    with pytest.raises(CommandError) as caught:
        parts.parts_to_undo(["twien"])
    assert caught.value.hint.startswith("did you mean twine? known: ")
