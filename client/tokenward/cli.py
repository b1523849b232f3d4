"""The list of commands, with the summary and the module of each.

A command's module (commands/__init__.py) is imported when the command is called. Its errors are
printed here to stderr, with exit status 2; otherwise that is 0.
"""

from __future__ import annotations

import os

from tokenward.errors import CommandError, HelpShown, sayable
from tokenward.ui.terminal import COLORS, OutputClosedError, Terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from tokenward.ui.argument_parser import Parser

DONE, FAILED = 0, 2

GROUPS = {
    "credentials": {
        "login": "store a credential for an index",
        "logout": "remove a stored credential",
        "token": "print a stored secret",
        "exec": "run a command with the credentials in its environment",
        "share": "hand out one credential to a container, a job or another host",
        "refresh": "run the command that makes a credential, with your terminal",
        "list": "show what is stored, without secrets",
        "import": "take over the credentials of other tools",
        "export": "write every credential into an encrypted file",
        "dir": "print the directory of the vaults",
    },
    "vaults": {
        "status": "show the agent, the vaults and the protections",
        "lock": "close the vaults, and forget every key and secret, until `auth unlock`",
        "unlock": "open the vaults",
        "passphrase set": "protect the vault of `disabled` by a new passphrase",
        "passphrase remove": "replace the passphrase by a key file",
        "restore": "restore an export, or the previous generation of a damaged vault",
    },
    "agent": {
        "log": "show requests and decisions, and verify that record",
        "agent start": "start the agent, if it is not running",
        "agent stop": "stop the agent; stored credentials stay",
        "agent restart": "stop it and start it again",
        "agent status": "show whether the agent runs; never starts it",
        "agent run": "run the agent in the foreground",
        "agent install": "have the system's service manager start the agent",
        "agent uninstall": "undo that; the agent is started on demand again",
    },
    "tools": {
        "helper": "answer a tool that speaks a credential helper protocol",
    },
    "settings": {
        "setup": "make the installed tools use tokenward, or undo that",
        "trust": "obey the settings of a project's directory",
        "doctor": "test every protection on this machine, and say how to repair it",
    },
}
"""Every command, by the headings of the help."""

COMMANDS = {name: summary for group in GROUPS.values() for name, summary in group.items()}

WITHOUT_FORMAT = {"exec", "helper"}
"""The commands whose stdout is another program's, or in its format."""

_MODULES = {
    **dict.fromkeys(("lock", "unlock", "passphrase"), "vaults"),
    **dict.fromkeys(("dir", "trust"), "places"),
    "import": "importing",
}
"""The modules of some commands; those of others have the name of the command's first word."""

_WITH_VALUE = {"--color", "--format"}

_OPENING = """\
auth keeps the credentials for your package indexes in an agent, and hands them out.

usage: auth COMMAND [OPTIONS]
"""

_ENDING = """
SERVICE is pypi (the default), testpypi, the URL of an index, or a name from your configuration.

  auth login --token -          store the API token that is the next line of stdin
  auth login https://h.example  ask for user name and password, and store them
  auth token                    print the token for PyPI
  auth COMMAND --help           options and examples of a command"""


def main(argv: Sequence[str]) -> int:
    """Run one command line, without the program's name; return the exit status."""
    terminal = Terminal(os.environ, color=_color_of(argv))
    try:
        command, rest = command_of(argv)
        parser = parser_of(command)
        arguments = parser.read(rest)
        terminal = Terminal(
            os.environ,
            color=arguments.color,
            quiet=arguments.quiet,
            verbose=arguments.verbose,
        )
        _run(command, arguments, terminal)
    except HelpShown as asked:
        return _print(terminal, str(asked))
    except CommandError as failed:
        terminal.fail(str(failed), failed.hint)
    except KeyboardInterrupt:
        terminal.fail("Interrupted.")
    except OutputClosedError:
        pass  # our output has no reader, so nothing is left to do
    else:
        return DONE
    return FAILED


def command_of(argv: Sequence[str]) -> tuple[str, list[str]]:
    """Split a command line into the command and the options before and after it.

    Raises CommandError for an unknown command, HelpShown for help on all commands or on a group.
    """
    at = 0
    while at < len(argv) and argv[at].startswith("-"):
        at += 2 if argv[at] in _WITH_VALUE else 1
    before, words = list(argv[:at]), list(argv[at:])
    if not words:
        if before and not {"-h", "--help"} & set(before):
            from tokenward.ui.argument_parser import Parser

            Parser("auth", "").read(before)  # an unknown option, or --version
        if before and {"-h", "--help"} & set(before):
            raise HelpShown(overview())
        raise CommandError("A command is missing.", "`auth --help` lists them")
    for count in (2, 1):
        command = " ".join(words[:count])
        if command in COMMANDS:
            return command, before + words[count:]
    group = words[0]
    if any(name.startswith(f"{group} ") for name in COMMANDS):
        if {"-h", "--help"} & set(before + words):
            raise HelpShown(overview(group))
        raise CommandError(f"`auth {group}` needs a command.", f"`auth {group} --help` lists them")
    raise CommandError(
        f"There is no command {_quotable(group)}.".replace("  ", " "), "`auth --help` lists them"
    )


def parser_of(command: str) -> Parser:
    """Return the parser of one command, with its options and examples."""
    from tokenward.ui.argument_parser import Parser

    summary = COMMANDS[command]
    formats = command not in WITHOUT_FORMAT
    parser = Parser(f"auth {command}", f"{summary[0].upper()}{summary[1:]}.", formats=formats)
    _module(command).describe(parser, command)
    return parser


def overview(group: str = "") -> str:
    """Return the help on all commands, or on those whose first word is `group`."""
    lines = []
    for heading, commands in GROUPS.items():
        shown = {n: s for n, s in commands.items() if not group or n.startswith(f"{group} ")}
        if shown:
            lines += [f"\n{heading}:"] + [f"  {n:<18} {s}" for n, s in shown.items()]
    if group:
        return f"usage: auth {group} COMMAND [OPTIONS]\n" + "\n".join(lines)
    return _OPENING + "\n".join(lines) + "\n" + _ENDING


def _module(command: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - modules have no type
    from importlib import import_module

    word = command.partition(" ")[0]
    return import_module(f"tokenward.commands.{_MODULES.get(word, word)}")


def _run(command: str, arguments: Namespace, terminal: Terminal) -> None:
    from tokenward.session import Session

    arguments.command = command
    session = Session(terminal, os.environ, json=arguments.format == "json")
    try:
        _module(command).run(arguments, session)
    finally:
        session.tell_notices()
        session.close()


def _print(terminal: Terminal, text: str) -> int:
    try:
        terminal.data(text)
    except OutputClosedError:
        return FAILED
    except CommandError as failed:
        terminal.fail(str(failed))
        return FAILED
    return DONE


def _color_of(argv: Sequence[str]) -> str:
    """Return the colour in a command line, even if the rest of it cannot be parsed."""
    ours = list(argv[: argv.index("--")] if "--" in argv else argv)
    for word, value in zip(ours, [*ours[1:], ""], strict=True):
        name, equals, said = word.partition("=")
        said = said if equals else value
        if name == "--color" and said in COLORS:
            return said
    return "auto"


def _quotable(word: str) -> str:
    """Return the word for a message if it can hardly be a secret."""
    return f"`{word}`" if sayable(word) else "of that name"
