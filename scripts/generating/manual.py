"""The page docs/COMMANDS.md: what the help of every command says, for the manual."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenward import cli

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from generating.commands import Argument, Command

_HEAD = """\
<!-- Made by scripts/generate from the commands themselves. -->

# Commands

`auth help COMMAND` says the same of one command. [CLI.md](CLI.md) has what they promise to scripts: exit status,
streams, JSON and variables.
"""


def page(commands: list[Command]) -> str:
    """Return the page."""
    by_name = {command.name: command for command in commands}
    parts = [_HEAD, "## Options of every command\n", *_table(commands[0].common)]
    for heading, names in cli.GROUPS.items():
        parts.append(f"## To {heading}\n")
        for name in names:
            parts += _command(by_name[name])
    return "\n".join(parts).rstrip("\n") + "\n"


def _command(command: Command) -> Iterator[str]:
    yield f"### auth {command.name}\n"
    yield f"{command.summary[0].upper()}{command.summary[1:]}.\n"
    yield f"```text\n{command.usage}\n```\n"
    positional = (command.argument,) if command.argument else ()
    yield from _table((*positional, *command.own))
    yield "\n".join(["```console", *(f"$ {line}" for line in command.examples), "```\n"])


def _table(arguments: Iterable[Argument]) -> Iterator[str]:
    rows = [f"| {_spelled(argument)} | {_cell(argument.help)} |" for argument in arguments]
    if rows:
        yield "\n".join(["| option | |", "| --- | --- |", *rows, ""])


def _spelled(argument: Argument) -> str:
    """Return the spellings of an option with the name of its value, as code."""
    value = f" {argument.value}" if argument.flags and argument.value else argument.value
    return f"`{_cell(', '.join(argument.flags) + value)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
