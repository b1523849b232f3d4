"""The commands as data: read from their parsers, for other forms of them.

What shells offer for a value is told by the name that help shows for it. A name that is not in the
table here is an error, so that the author of an option decides what is offered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tokenward import cli, shipped, sources
from tokenward.exec.elsewhere import PLACES
from tokenward.setup.parts import TOOLS
from tokenward.ui.argument_parser import Parser
from tokenward_protocol.messages import PROVIDERS

if TYPE_CHECKING:
    import argparse

ANYTHING, DIRECTORIES, FILES, PROGRAM = "", "DIRECTORIES", "FILES", "PROGRAM"
"""What can be offered where it is not a few words: nothing, paths, a command line."""

_OFFERED = {
    "ACTION": "get",
    "CMD": PROGRAM,
    "DIR": DIRECTORIES,
    "FILE": FILES,
    "HOST": ANYTHING,
    "MAKER": "gcloud aws az pass: op: bw: vault: bao:",
    "N": ANYTHING,
    "NAME": ANYTHING,
    "PATH": FILES,
    "PLACE": " ".join(PLACES),
    "PROVIDER": " ".join(PROVIDERS),
    "SECRET": ANYTHING,
    "SHELL": " ".join(sorted(shipped.COMPLETIONS)),
    "SERVICE": "pypi testpypi",
    "SOURCE": " ".join(sources.NAMES),
    "TIME": ANYTHING,
    "VARIABLE": ANYTHING,
    "TOOL": " ".join(TOOLS),
}


class Argument(NamedTuple):
    """An option with its spellings, the short one first; or without any what stands beside options.

    `value` is its name in the help, empty if it takes none, and `offered` what shells offer for it.
    """

    flags: tuple[str, ...]
    value: str
    offered: str
    help: str
    repeats: bool


class Command(NamedTuple):
    """One command: `agent start` is one. `own` are the options that not every command has."""

    name: str
    summary: str
    usage: str
    own: tuple[Argument, ...]
    common: tuple[Argument, ...]
    argument: Argument | None
    examples: tuple[str, ...]


def every_command() -> list[Command]:
    """Return the commands in the order of the help."""
    return [_command(name, summary) for name, summary in cli.COMMANDS.items()]


def groups(commands: list[Command]) -> dict[str, dict[str, str]]:
    """Return what may stand first under "", and what follows each first word that is no command.

    Each word has its summary.
    """
    found: dict[str, dict[str, str]] = {"": {}}
    for command in commands:
        first, _, second = command.name.partition(" ")
        if second:
            found.setdefault(first, {})[second] = command.summary
        found[""][first] = " | ".join(found[first]) if second else command.summary
    found["help"] = dict(found[""])
    found[""]["help"] = "show the help of a command"
    return found


def offered_by_flag(commands: list[Command]) -> dict[str, str]:
    """Return what is offered for each option that takes a value; it is the same in every command."""
    found: dict[str, str] = {}
    for option in (option for command in commands for option in command.own + command.common):
        for flag in option.flags if option.value else ():
            if found.setdefault(flag, option.offered) != option.offered:
                raise ValueError(f"{flag} takes another kind of value in some command")
    return dict(sorted(found.items()))


def arguments(parser: argparse.ArgumentParser) -> list[Argument]:
    """Return what a parser takes, in the order in which it was added."""
    return list(map(_argument, parser._actions))  # noqa: SLF001 - argparse has no other list


def _command(name: str, summary: str) -> Command:
    parser = cli.parser_of(name)
    common = arguments(Parser("auth", "", formats=name not in cli.WITHOUT_FORMAT))
    found = arguments(parser)
    positional = [argument for argument in found if not argument.flags]
    assert len(positional) <= 1, f"{name} takes several arguments"
    return Command(
        name,
        summary,
        parser.usage or "",
        tuple(option for option in found if option.flags and option not in common),
        tuple(common),
        positional[0] if positional else None,
        tuple(line.strip() for line in (parser.epilog or "").splitlines()[1:]),
    )


def _argument(action: argparse.Action) -> Argument:
    value = str(action.metavar) if action.nargs != 0 else ""
    words = value.replace("|", " ")  # a value in lower case is shown as the words themselves
    offered = words if not words or words.islower() else _OFFERED[value]
    text = (action.help or "").replace("%%", "%")
    return Argument(
        tuple(action.option_strings),
        value,
        offered,
        text,
        repeats=action.nargs == "*" or "may be repeated" in text,
    )
