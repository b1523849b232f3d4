"""The manual pages, in the macros of man(7).

`auth(1)` holds what the help of every command says, and the variables of docs/CLI.md;
`tokenward-agent(8)` the options of the agent, and what a unit for it needs.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from generating.commands import arguments
from tokenward import cli
from tokenward_agent import settings
from tokenward_protocol import VERSION

if TYPE_CHECKING:
    from generating.commands import Argument, Command

DATE = "2026-11-28"  # of the last change to the words here or in the help
ALIAS = ".so man1/auth.1\n"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "CLI.md"

_AUTH = """\
`auth` keeps the credentials for your package indexes in an agent, and hands them out: to you, and
to the tools that publish and install. `tokenward` is the same program.

SERVICE is `pypi` (the default), `testpypi`, the URL of an index, a host, or a name that your
configuration defines. The agent starts when it is needed.
"""
_STATUS = (
    "0 if the command succeeded or there was nothing to do, 2 if anything failed. `auth exec` ends with"
    " the status of CMD."
)
_STREAMS = """\
Data (a secret, JSON, a path, a table) goes to standard output and nothing else does. Messages go
to standard error, and never hold a secret. Prompts appear on the terminal; without one there is no
prompt, and a missing value is an error.
"""
_FILES = {
    "~/.config/tokenward/config.toml": "names of indexes, settings and the policy. On macOS in"
    " `~/Library/Application Support/tokenward`.",
    "~/.local/share/tokenward": "the credentials directory, which holds the encrypted vaults;"
    " `auth dir` prints it.",
    "~/.local/state/tokenward": "what belongs to this machine: the key file, the audit log, what"
    " `auth setup` wrote.",
    "$XDG_RUNTIME_DIR/tokenward": "the agent's socket.",
}
_AGENT = """\
`tokenward-agent` is the resident process of `auth`(1): it opens the vaults, keeps keys and decrypted
secrets in locked memory, and answers only its own user, over a Unix socket. It stays in the
foreground, as service managers want it, and opens no network connection. `auth`(1) starts it when it
is needed.

Before it reads a secret it forbids memory dumps and debuggers for itself, and ends if that fails. It is configured by `config.toml`, and reads no secret from its environment.
"""
_SIGNALS = """\
On SIGTERM and SIGINT it wipes every key, frees its address, and ends. On SIGHUP it locks, if it reports
its status to a service manager.
"""
_MANAGER = {
    "LISTEN_FDS": "with `LISTEN_PID`, as in `sd_listen_fds`(3): one Unix stream socket of any name, which it"
    " serves instead of its own.",
    "NOTIFY_SOCKET": "where it tells a service manager that it serves, is locked or unlocked, and ends, as in"
    " `sd_notify`(3).",
    "CREDENTIALS_DIRECTORY": "if there is a file `tokenward-passphrase` in it, the vault opens by that"
    " passphrase, without a prompt.",
    "TOKENWARD_IDLE_EXIT": "idle exit: it ends after this time without a request (`30m`), if it has its socket from a"
    " service manager and nothing would be lost.",
    "TOKENWARD_WORKERS": "the socket at which a service manager starts its workers.",
}
_AGENT_STATUS = (
    "0 after a stop, or if another agent serves the address already; 2 if it cannot serve."
)


def auth(commands: list[Command]) -> str:
    """Return the page about the commands."""
    parts = [
        _head("AUTH", 1),
        ".SH NAME",
        r"auth, tokenward \- an agent for package\-index credentials",
    ]
    parts += [".SH SYNOPSIS", r".B auth", r".I COMMAND", r".RI [ OPTIONS ]", ".SH DESCRIPTION"]
    parts += [_text(_AUTH), ".SH COMMANDS"]
    by_name = {command.name: command for command in commands}
    for heading, names in cli.GROUPS.items():
        parts.append(f".SS {heading.capitalize()}")
        parts += [_command(by_name[name]) for name in names]
    parts += [
        ".SH OPTIONS",
        _text("Every command has these; `exec`, `helper` and `completion` have no `--format`."),
    ]
    parts += map(_argument, commands[0].common)
    parts += [".SH EXIT STATUS", _text(_STATUS), ".SH STANDARD STREAMS", _text(_STREAMS)]
    parts += [".SH ENVIRONMENT", *(_entry(n, t) for n, t in _variables().items())]
    parts += [".SH FILES", *(_entry(f"`{n}`", t) for n, t in _FILES.items())]
    parts += [".SH SEE ALSO", r".BR tokenward\-agent (8),", ".BR ssh\\-agent (1)"]
    return "\n".join(parts) + "\n"


def agent() -> str:
    """Return the page about the agent."""
    parts = [_head("TOKENWARD-AGENT", 8), ".SH NAME"]
    parts += [r"tokenward\-agent \- holds package\-index credentials for auth(1)"]
    parts += [".SH SYNOPSIS", r".B tokenward\-agent", ".RI [ OPTIONS ]", ".SH DESCRIPTION"]
    parts += [_text(_AGENT), ".SH OPTIONS"]
    parts += map(_argument, arguments(settings.parser()))
    parts += [".SH SIGNALS", _text(_SIGNALS)]
    parts += [".SH ENVIRONMENT", *(_entry(f"`{n}`", t) for n, t in _MANAGER.items())]
    parts += [".SH EXIT STATUS", _text(_AGENT_STATUS)]
    parts += [".SH SEE ALSO", ".BR auth (1)"]
    return "\n".join(parts) + "\n"


def _head(title: str, section: int) -> str:
    made = r".\" Made by scripts/generate from the commands themselves."
    name = title.replace("-", r"\-")
    return f'{made}\n.TH {name} {section} {DATE} "tokenward {VERSION}"'


def _command(command: Command) -> str:
    words = command.usage.split()
    count = 1 + len(command.name.split())
    name, rest = " ".join(words[:count]), " ".join(words[count:])
    parts = [_entry(f"`{name}` {rest}", f"{command.summary[0].upper()}{command.summary[1:]}.")]
    inner = ([command.argument] if command.argument else []) + list(command.own)
    if inner:
        parts += [".RS", *map(_argument, inner), ".RE"]
    return "\n".join([*parts, ".RS", ".PP", ".EX", *map(_escaped, command.examples), ".EE", ".RE"])


def _argument(argument: Argument) -> str:
    flags = ", ".join(f"`{flag}`" for flag in argument.flags)
    return _entry(f"{flags} {argument.value}".strip(), argument.help)


def _entry(term: str, text: str) -> str:
    return f".TP\n{_marked(term)}\n{_marked(text)}"


def _variables() -> dict[str, str]:
    """Return the variables that docs/CLI.md explains, without its links to other pages."""
    section = PAGE.read_text("utf-8").partition("\n## Environment variables\n")[2]
    rows = re.findall(r"(?m)^\| (`.*?) +\| (.*?) +\|$", section.partition("\n## ")[0])
    return {name: re.sub(r" \(\[.*?\]\(.*?\)\)", "", text) for name, text in rows}


def _text(text: str) -> str:
    """Return paragraphs."""
    paragraphs = (" ".join(p.split()) for p in text.strip().split("\n\n"))
    return "\n.PP\n".join(map(_marked, paragraphs))


def _marked(text: str) -> str:
    """Return a line with what stands in backquotes in bold."""
    return re.sub(r"`([^`]*)`", r"\\fB\1\\fR", _escaped(text))


def _escaped(text: str) -> str:
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{text}" if text.startswith((".", "'")) else text
