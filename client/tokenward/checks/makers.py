"""Whether what makes credentials can: the programs of recipes, and the plug-ins of keyring.

The agent says which program it would not run, and which credential could not be had the last time;
nothing is run for a check. `leave` in config.toml is a choice, so it is only named, but for what is
stored and cannot be had by tools because of it.
"""

from __future__ import annotations

import shlex
import sys

from tokenward.checks import ok, problem, warning
from tokenward.credentials.plugins import missing_plugin
from tokenward.keyring_program.agent_client import is_covered
from tokenward.setup.program import addition_command
from tokenward.ui.formatting import count_of, credential_text, join_words
from tokenward_protocol.urls import display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from tokenward.checks import Finding

CHECK = "commands"
PLUGINS = "plug-ins"


def command_findings(status: Mapping[str, Any]) -> Iterator[Finding]:
    """Report what the agent says of recipes and adopted credentials; `status` is its `commands`."""
    if status["problem"]:
        yield problem(CHECK, str(status["problem"]), "repair the file, or move it away")
    found = status.get("problems", [])  # an older agent has none
    for one in found:
        yield problem(CHECK, str(one["problem"]), str(one["hint"]) or "`auth log`")
    if status["recipes"] and not found:
        yield ok(CHECK, f"{count_of(status['recipes'], 'command')} may be run to make credentials.")


def plugin_findings(
    environ: Mapping[str, str], entries: Iterable[Mapping[str, Any]]
) -> Iterator[Finding]:
    """Report adopted credentials of `list` whose cloud's plug-in is not where the agent looks."""
    adopted = [each for each in entries if each["adopted"] and each.get("reader") == "keyring"]
    if not adopted:
        return
    missing = False
    for one in adopted:
        package = missing_plugin(environ, str(one["service"]))
        if package is None:
            continue
        missing = True
        yield problem(
            PLUGINS,
            f"{package}, the plug-in of keyring for {display(str(one['service']))}, is not installed"
            " beside tokenward, where it was adopted from.",
            f"`{addition_command(sys.prefix, sys.executable, package)}`",
        )
    if not missing:
        yield ok(
            PLUGINS, f"{count_of(len(adopted), 'credential')} adopted from keyrings can be read."
        )


def leave_findings(
    leave: tuple[str, ...], entries: Iterable[Mapping[str, Any]]
) -> Iterator[Finding]:
    """Report what `leave` in config.toml leaves to other keyrings."""
    if not leave:
        return
    stored = [each for each in entries if is_covered(str(each["service"]), leave)]
    for one in stored:
        user, service = str(one["username"]), display(str(one["service"]))
        removal = (
            f"`auth logout {service} -u {shlex.quote(user)}`"
            if user
            else f"`auth logout {service} --no-username`"
        )
        yield warning(
            "leave",
            f"Tools that ask a keyring do not get {credential_text(user, service)}: `leave` in config.toml"
            " leaves its host to other keyrings.",
            f"{removal}, or take the host out of `leave`",
        )
    if not stored:
        yield ok("leave", f"`leave` leaves {join_words(list(leave))} to other keyrings.")
