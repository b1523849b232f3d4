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
    from tokenward.ui.formatting import Part

DONE, FAILED = 0, 2

GROUPS = {
    "log in": {
        "login": "log in to an index",
        "logout": "forget a credential; --revoke also ends it at the index",
        "refresh": "run the command that makes a credential, with your terminal",
        "list": "show what is stored, without secrets",
        "import": "take over what .pypirc, uv, netrc, poetry and pip hold",
    },
    "use": {
        "exec": "run a command that uses the credentials",
        "token": "print a token, or a short-lived one for one project",
        "share": "give a container, a job or another host one credential",
        "helper": "answer a tool that speaks a credential helper protocol",
    },
    "protect": {
        "lock": "close the vaults, and forget every key and secret",
        "unlock": "open the vaults",
        "passphrase set": "protect the file vault by a new passphrase",
        "passphrase remove": "replace the passphrase by a key file",
        "log": "show who got which credential, and verify that record",
        "export": "write every credential into an encrypted file",
        "restore": "read such a file, or repair a damaged vault",
    },
    "set up": {
        "setup": "make the installed tools use tokenward, or undo that",
        "completion": "print a shell's completion of this command",
        "uninstall": "take back everything that tokenward wrote",
        "status": "show whether it is unlocked, and what protects it",
        "doctor": "find problems on this machine, and say what helps",
        "dir": "print the directory of the vaults",
        "trust": "obey the settings of a project's directory",
        "agent start": "start the agent, if it is not running",
        "agent stop": "stop the agent; stored credentials stay",
        "agent restart": "stop it and start it again",
        "agent status": "show whether the agent runs; never starts it",
        "agent run": "run the agent in the foreground",
        "agent install": "have the system's service manager start the agent",
        "agent uninstall": "undo that; the agent is started on demand again",
    },
}
"""Every command, by the headings of the help."""

COMMANDS = {name: summary for group in GROUPS.values() for name, summary in group.items()}

HERE = ""
"""What is run where no command is given."""

_TOGETHER = {
    "agent": "start, stop, show or install the agent",
    "passphrase": "set or remove the passphrase of the file vault",
}
"""What the help says for several commands with the same first word."""

WITHOUT_FORMAT = {"exec", "helper", "completion", HERE}
"""The commands whose stdout is another program's, or in its format, or for people alone."""

_MODULES = {
    **dict.fromkeys(("lock", "unlock", "passphrase"), "vaults"),
    **dict.fromkeys(("dir", "trust"), "places"),
    "import": "importing",
    HERE: "here",
}
"""The modules of some commands; those of others have the name of the command's first word."""

_WITH_VALUE = {"--color", "--format"}

_OPENING = """\
Log in to package indexes once; every tool gets the credential it needs.

usage: auth COMMAND [OPTIONS]
"""

_ENDING = """
examples:
  auth login                          log in to PyPI
  auth login https://h.example -u me  log in to another index
  auth exec -- twine upload dist/*    publish with it

SERVICE is pypi (the default), testpypi, a URL, or a configured name.
Help on a command: auth help COMMAND. The manual: man auth."""


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

    `help COMMAND` is `COMMAND --help`. Raises CommandError for an unknown command, HelpShown for
    help on all commands or on a group.
    """
    at = 0
    while at < len(argv) and argv[at].startswith("-"):
        at += 2 if argv[at] in _WITH_VALUE else 1
    before, words = list(argv[:at]), list(argv[at:])
    if words[:1] == ["help"]:
        before, words = [*before, "--help"], words[1:]
    if not words:
        if {"-h", "--help"} & set(before):
            raise HelpShown(overview())
        return HERE, before
    for count in (2, 1):
        command = " ".join(words[:count])
        if command in COMMANDS:
            return command, before + words[count:]
    raise _unknown_error(before, words)


def _unknown_error(before: list[str], words: list[str]) -> CommandError | HelpShown:
    """Return what to raise for words that are no command: help on a group, or an error."""
    group = words[0]
    inside = [name for name in COMMANDS if name.startswith(f"{group} ")]
    if inside and {"-h", "--help"} & {*before, *words}:
        return HelpShown(overview(group))
    if inside and len(words) == 1:
        return CommandError(f"`auth {group}` needs a command.", f"`auth {group} --help` lists them")
    from tokenward.ui.suggestions import closest, command_for

    if inside:
        name = f"{group} {words[1]}"
        near = closest(words[1], [each.partition(" ")[2] for each in inside])
        near, lists = near and f"{group} {near}", f"`auth {group} --help` lists them"
    else:
        name = group
        near, lists = command_for(group, [*COMMANDS, "help"]), "`auth --help` lists them"
    quoted = f"`{name}`" if all(map(sayable, name.split(" "))) else "of that name"
    return CommandError(
        f"There is no command {quoted}.", f"did you mean `auth {near}`?" if near else lists
    )


def parser_of(command: str) -> Parser:
    """Return the parser of one command, with its options and examples."""
    from tokenward.ui.argument_parser import Parser

    summary = COMMANDS.get(command, "show where you stand")
    formats = command not in WITHOUT_FORMAT
    name = f"auth {command}".rstrip()
    parser = Parser(name, f"{summary[0].upper()}{summary[1:]}.", formats=formats)
    _module(command).describe(parser, command)
    return parser


def overview(group: str = "") -> str:
    """Return the help on all commands, or on those whose first word is `group`."""
    lines = []
    for heading, commands in GROUPS.items():
        shown = {n: s for n, s in commands.items() if not group or n.startswith(f"{group} ")}
        if not group:
            words = (name.partition(" ")[0] for name in shown)
            shown = {word: _TOGETHER.get(word) or shown[word] for word in words}
        if shown:
            lines += [f"\n{heading}:"] + [
                f"  {n:<{18 if group else 11}} {s}" for n, s in shown.items()
            ]
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
        terminal.lines([_help_line(line) for line in text.splitlines()])
    except OutputClosedError:
        return FAILED
    except CommandError as failed:
        terminal.fail(str(failed))
        return FAILED
    return DONE


def _help_line(line: str) -> list[Part]:
    """Return a line of a help in two parts, of which the second is broken below itself."""
    if line.endswith(":") and not line.startswith(" "):
        return [(line, "bold")]
    indent = len(line) - len(line.lstrip())
    at = line.find("  ", indent)
    if at < 0:
        return [line[:indent], line[indent:]]
    while line[at] == " ":
        at += 1
    return [line[:at], line[at:]]


def _color_of(argv: Sequence[str]) -> str:
    """Return the colour in a command line, even if the rest of it cannot be parsed."""
    ours = list(argv[: argv.index("--")] if "--" in argv else argv)
    for word, value in zip(ours, [*ours[1:], ""], strict=False):
        name, equals, said = word.partition("=")
        said = said if equals else value
        if name == "--color" and said in COLORS:
            return said
    return "auto"
