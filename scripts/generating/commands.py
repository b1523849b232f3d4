"""The commands as data: read from their parsers, for other forms of them.

What may stand in a value's place is told by the name that help shows for it. A name that is not in
the table here is an error, so that the author of an option decides what shells offer for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tokenward import cli, sources
from tokenward.setup.parts import TOOLS
from tokenward.ui.argument_parser import Parser
from tokenward_protocol.messages import PROVIDERS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

ANYTHING, DIRECTORIES, FILES, PROGRAM, WORDS = range(5)
"""What can be offered for a value: nothing, paths, a command line, or a few words."""

_KINDS = {
    "CMD": PROGRAM,
    "DIR": DIRECTORIES,
    "FILE": FILES,
    "HOST": ANYTHING,
    "N": ANYTHING,
    "NAME": ANYTHING,
    "PATH": FILES,
    "SECRET": ANYTHING,
    "TIME": ANYTHING,
}
_WORDS: dict[str, tuple[str, ...]] = {
    "ACTION": ("get",),
    "PROVIDER": tuple(PROVIDERS),
    "SERVICE": ("pypi", "testpypi"),
    "SOURCE": tuple(sources.NAMES),
    "TOOL": tuple(TOOLS),
}


class Value(NamedTuple):
    """What an option or an argument holds: its name in the help, its kind, its words if it has any."""

    name: str
    kind: int
    words: tuple[str, ...] = ()


class Option(NamedTuple):
    """An option: its spellings, the short one first; its value if it takes one; the help's text."""

    flags: tuple[str, ...]
    value: Value | None
    help: str
    repeats: bool


class Argument(NamedTuple):
    """What a command takes beside options."""

    value: Value
    help: str
    repeats: bool


class Command(NamedTuple):
    """One command: `agent start` is one. `own` are the options that not every command has."""

    name: str
    summary: str
    usage: str
    own: tuple[Option, ...]
    common: tuple[Option, ...]
    argument: Argument | None
    examples: tuple[str, ...]

    @property
    def options(self) -> tuple[Option, ...]:
        """All of its options."""
        return self.own + self.common

    @property
    def flags(self) -> list[str]:
        """Every spelling of them."""
        return [flag for option in self.options for flag in option.flags]


def every_command() -> list[Command]:
    """Return the commands in the order of the help."""
    return [_command(name, summary) for name, summary in cli.COMMANDS.items()]


def groups(commands: list[Command]) -> dict[str, dict[str, str]]:
    """Return for each first word that is no command by itself its second words, with summaries."""
    found: dict[str, dict[str, str]] = {}
    for command in commands:
        first, _, second = command.name.partition(" ")
        if second:
            found.setdefault(first, {})[second] = command.summary
    return found


def first_words(commands: list[Command]) -> dict[str, str]:
    """Return what may stand first, with summaries."""
    found: dict[str, str] = {}
    for command in commands:
        first, _, second = command.name.partition(" ")
        found.setdefault(first, f"{first} ..." if second else command.summary)
    for group, seconds in groups(commands).items():
        found[group] = " | ".join(seconds)
    return found


def values_by_flag(commands: list[Command]) -> dict[str, Value]:
    """Return the value of every option that takes one; each means the same in every command."""
    found: dict[str, Value] = {}
    for option in (option for command in commands for option in command.options):
        for flag in option.flags if option.value else ():
            assert option.value is not None
            if found.setdefault(flag, option.value)[1:] != option.value[1:]:
                raise ValueError(f"{flag} takes another kind of value in some command")
    return found


def actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield what a parser takes, in the order in which it was added."""
    yield from parser._actions  # noqa: SLF001 - argparse has no other list of them


def option_of(action: argparse.Action) -> Option:
    """Return an option as data."""
    value = _value(str(action.metavar)) if action.nargs != 0 else None
    flags = tuple(sorted(action.option_strings, key=len))
    return Option(flags, value, _help(action), repeats=type(action).__name__ == "_AppendAction")


def _command(name: str, summary: str) -> Command:
    parser = cli.parser_of(name)
    common = {flag for action in actions(_bare(name)) for flag in action.option_strings}
    options = [option_of(a) for a in actions(parser) if a.option_strings]
    arguments = [_argument(a) for a in actions(parser) if not a.option_strings]
    assert len(arguments) <= 1, f"{name} takes several arguments"
    return Command(
        name,
        summary,
        parser.usage or "",
        tuple(option for option in options if option.flags[0] not in common),
        tuple(option for option in options if option.flags[0] in common),
        arguments[0] if arguments else None,
        tuple(line.strip() for line in (parser.epilog or "").splitlines()[1:]),
    )


def _bare(name: str) -> argparse.ArgumentParser:
    return Parser("auth", "", formats=name not in cli.WITHOUT_FORMAT)


def _argument(action: argparse.Action) -> Argument:
    return Argument(_value(str(action.metavar)), _help(action), repeats=action.nargs == "*")


def _value(name: str) -> Value:
    if name in _KINDS:
        return Value(name, _KINDS[name])
    if name.islower():  # the words themselves
        return Value(name, WORDS, tuple(name.split("|")))
    return Value(name, WORDS, _WORDS[name])


def _help(action: argparse.Action) -> str:
    return (action.help or "").replace("%%", "%")
