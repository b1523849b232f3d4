"""What a credential is wanted for: `publish` or `install` for the policy, and in words for the log.

For the policy the tool's name and its command decide; the command is the first word that is not an
option. A word that might be an option's value makes it uncertain, which is "": no tool counts as one
that only installs because of how its command was written. For the log:

    printed             `auth token`
    exec: uv publish    `auth exec -- uv publish`
    export              `auth export`, and so on for every command of `auth`
    keyring for pip     a program that asks for the one that started it
    publish, install    a tool that asks by itself, by its command

A command that `auth exec` runs is shown by its program's name and one word behind it, each only if
it is in a table: any other word might be a secret in the wrong place. Pure.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from tokenward_agent.peer.program import FETCHES, SENDS, is_tool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenward_agent.peer.requester import Requester

PUBLISH: Final = "publish"
INSTALL: Final = "install"


_OURS: Final = frozenset({"auth", "tokenward"})
_PLAIN: Final = frozenset(
    {"check", "doctor", "export", "helper", "import", "list", "login", "logout", "passphrase"}
    | {"refresh", "restore", "setup", "share", "uninstall"}
)
"""Commands of `auth` that are shown by their own word."""

_COMMANDS: Final = frozenset(
    {"add", "build", "download", "install", "lock", "publish", "push", "register", "run", "sync"}
    | {"update", "upgrade", "upload"}
)
_VALUED: Final = frozenset({"--color", "--format", "--index", "--project", "--ttl"})
_FLAGS: Final = frozenset({"-q", "--quiet", "-v", "--verbose", "--env", "--relay", "--read-only"})
_PROGRAMS: Final = frozenset(
    {"bash", "bazel", "conda", "docker", "git", "hatchling", "just", "make", "mamba", "micromamba"}
    | {"nox", "npm", "pixi", "podman", "python", "python3", "rye", "sh", "tox", "zsh"}
)


def purpose_of(requester: Requester) -> str:
    """Return `publish`, `install`, or "" if it is not known."""
    tool = requester.tool
    if tool is None or not tool.process.whole:
        return ""
    name, words = tool.program.name, tool.program.arguments
    sends = SENDS.get(name, set())
    command = next((word for word in words if not word.startswith("-")), "")
    if command in sends:
        return PUBLISH
    fetches = FETCHES.fullmatch(name) is not None
    return INSTALL if fetches and sends.isdisjoint(words) else ""


def summarize_command(requester: Requester) -> str:
    """Return it, "" if it is not known."""
    tool = requester.tool
    if tool is None:
        return ""
    first = requester.chain[0]
    if first.program.name in _OURS:
        return _summarize(first.program.arguments)
    if first is not tool:
        through = [link.program.name for link in requester.chain[: requester.chain.index(tool)]]
        return f"{through[-1]} for {tool.program.name}"
    return purpose_of(requester)


def words_of_run(words: Sequence[str]) -> Sequence[str]:
    """Return the command that `auth exec` runs, of the arguments of `auth`; () if not known."""
    command, *rest = _after_options(words) or ("",)
    return _after_options(rest) if command == "exec" else ()


def _summarize(words: Sequence[str]) -> str:
    command = next(iter(_after_options(words)), "")
    if command == "token":
        return "printed"
    if command == "exec":
        return _summarize_run(words_of_run(words))
    return command if command in _PLAIN else ""


def _summarize_run(words: Sequence[str]) -> str:
    if not words:
        return "exec"
    name = os.path.basename(words[0])
    if not is_tool(name) and name not in _PROGRAMS:
        return "exec"
    command = next((word for word in words[1:] if not word.startswith("-")), "")
    return f"exec: {name} {command}" if command in _COMMANDS else f"exec: {name}"


def _after_options(words: Sequence[str]) -> Sequence[str]:
    """Return the words behind the options of `auth`, () if one of the options is unknown."""
    at = 0
    while at < len(words) and words[at].startswith("-"):
        option, equals, _ = words[at].partition("=")
        at += 1
        if option == "--":
            break
        if option in _VALUED:
            at += not equals
        elif option not in _FLAGS:
            return ()
    return words[at:]
