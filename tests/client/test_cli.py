"""The command line: which command is meant, and what is said of a wrong one."""

from __future__ import annotations

import pytest

from tokenward import cli
from tokenward.errors import CommandError, HelpShown

SECRET = "pypi-AgEIcHlwaS5vcmc"

each_command = pytest.mark.parametrize("command", cli.COMMANDS)
NEEDED = {
    "completion": ["zsh"],
    "export": ["FILE"],
    "helper": ["--protocol", "bazel", "get"],
    "trust": ["DIR"],
}
"""What a command does not do without."""


def wrong(*argv: str) -> CommandError:
    """Return the usage error of a command line."""
    with pytest.raises(CommandError) as caught:
        command, rest = cli.command_of(argv)
        cli.parser_of(command).read(rest)
    return caught.value


@pytest.mark.parametrize(
    ("argv", "command", "rest"),
    [
        (["token"], "token", []),
        (["-v", "token", "h.example"], "token", ["-v", "h.example"]),
        (["--color", "never", "agent", "stop", "-q"], "agent stop", ["--color", "never", "-q"]),
        (["--format=json", "list"], "list", ["--format=json"]),
        (["passphrase", "set", "--keep-slots"], "passphrase set", ["--keep-slots"]),
        (["login", "set"], "login", ["set"]),
    ],
)
def test_options_may_stand_before_and_behind_the_command(
    argv: list[str], command: str, rest: list[str]
) -> None:
    assert cli.command_of(argv) == (command, rest)


@each_command
def test_every_command_has_help_with_an_example_of_it(command: str) -> None:
    with pytest.raises(HelpShown) as caught:
        cli.parser_of(command).read(["--help"])
    text = str(caught.value)
    assert text.startswith(f"usage: auth {command}")
    assert f"  auth {command}" in text or f'(auth {command})"' in text
    assert max(map(len, text.splitlines())) <= 100


@each_command
def test_every_command_takes_the_options_of_all(command: str) -> None:
    argv = ["-q", "-v", "--color", "never"]
    kind = "text" if command in cli.WITHOUT_FORMAT else "json"
    if kind == "json":
        argv += ["--format", "json"]
    found = cli.parser_of(command).read([*argv, *NEEDED.get(command, [])])
    assert (found.quiet, found.verbose, found.format, found.color) == (True, True, kind, "never")


@pytest.mark.parametrize("command", sorted(cli.WITHOUT_FORMAT - {cli.HERE}))
def test_a_command_whose_stdout_is_another_ones_has_no_format(command: str) -> None:
    assert (
        str(wrong(command, *NEEDED.get(command, []), "--format=json"))
        == "There is no option `--format`."
    )


@pytest.mark.parametrize(
    ("argv", "index", "program"),
    [
        (["--", "twine", "upload"], None, ["--", "twine", "upload"]),
        (["twine", "-r", "x", "--index", "y"], None, ["twine", "-r", "x", "--index", "y"]),
        (["--index", "a", "--index=b", "-v", "x", "--help"], ["a", "b"], ["x", "--help"]),
        (["--", "--odd", "--version"], None, ["--", "--odd", "--version"]),
        (["x", "--", "-v"], None, ["x", "--", "-v"]),
    ],
)
def test_what_follows_a_program_belongs_to_it(
    argv: list[str], index: list[str] | None, program: list[str]
) -> None:
    found = cli.parser_of("exec").read(argv)
    assert (found.index, found.program) == (index, program)


def test_the_overview_names_every_command() -> None:
    text = cli.overview()
    for command, summary in cli.COMMANDS.items():
        word, _, second = command.partition(" ")
        assert f"  {word} " in text
        named = cli.overview(word) if second else text
        assert f"  {command} " in named
        assert summary in named


def test_the_overview_fits_a_terminal() -> None:
    assert max(map(len, cli.overview().splitlines())) <= 80


def test_without_a_command_it_is_said_where_one_stands() -> None:
    assert cli.command_of([]) == (cli.HERE, [])
    assert cli.command_of(["-q"]) == (cli.HERE, ["-q"])
    assert str(wrong("--format", "json")) == "There is no option `--format`."


def test_the_overview_of_a_group_names_its_commands_alone() -> None:
    with pytest.raises(HelpShown) as caught:
        cli.command_of(["agent", "--help"])
    assert "agent restart" in str(caught.value)
    assert "login" not in str(caught.value)


@pytest.mark.parametrize(
    ("argv", "message", "hint"),
    [
        (["tokn"], "There is no command `tokn`.", "did you mean `auth token`?"),
        (["xyzzy"], "There is no command `xyzzy`.", "`auth --help` lists them"),
        (["agent"], "`auth agent` needs a command.", "`auth agent --help` lists them"),
        (["agent", "go"], "There is no command `agent go`.", "`auth agent --help` lists them"),
        (["login", "--tok", "x"], "There is no option `--tok`.", "did you mean `--token`?"),
        (["--nope"], "There is no option `--nope`.", "`auth --help`"),
        (["list", "-x"], "There is no option `-x`.", "`auth list --help`"),
        (["token", "a", "b"], "`auth token` got too many arguments.", "`auth token --help`"),
        (["list", "--format", "xml"], "`--format` must be text or json.", "`auth list --help`"),
        (
            ["login", "--keyring-provider", "none"],
            "`--keyring-provider` must be keyring, subprocess or disabled.",
            "`auth login --help`",
        ),
        (
            ["login", "--username", ""],
            "`--username` is empty; use `--no-username` for an empty one.",
            "`auth login --help`",
        ),
        (
            ["login", "--password="],
            "`--password` is empty; use `--no-password` for an empty one.",
            "`auth login --help`",
        ),
        (["login", "-t", ""], "`--token` is empty.", "`auth login --help`"),
        (["trust"], "`DIR` is missing.", "`auth trust --help`"),
        (["list", "--quiet=yes"], "`--quiet` takes no value.", "`auth list --help`"),
    ],
)
def test_a_wrong_command_line_is_one_sentence_and_where_to_read_on(
    argv: list[str], message: str, hint: str
) -> None:
    found = wrong(*argv)
    assert (str(found), found.hint) == (message, hint)


@pytest.mark.parametrize(
    "argv",
    [
        [SECRET],
        ["login", "pypi", SECRET],
        ["login", "pypi", f"--tokne={SECRET}"],
        ["login", f"-p{SECRET}"],
        ["login", "--lifetime", SECRET],
        ["login", "--keyring-provider", SECRET],
        ["login", f"--adopt={SECRET}"],
        ["agent", SECRET],
    ],
)
def test_a_secret_in_the_wrong_place_is_not_shown(argv: list[str]) -> None:
    found = wrong(*argv)
    assert SECRET not in str(found) + found.hint


def test_a_lifetime_that_is_none_is_explained() -> None:
    assert "90m, 8h, 7d" in str(wrong("login", "--lifetime", "8"))


def test_a_command_that_is_not_there_is_unknown() -> None:
    assert str(wrong("policy")) == "There is no command `policy`."


def test_an_option_is_never_guessed_from_its_beginning() -> None:
    assert "no option" in str(wrong("login", "--user", "alice"))
