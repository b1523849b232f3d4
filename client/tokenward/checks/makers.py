"""Whether what makes credentials can: the programs of recipes, and the plug-ins of keyring.

The agent says which program it would not run, and which credential could not be had the last time;
nothing is run for a check. Whether a plug-in is there is read from what is installed beside
tokenward, where the agent loads it, and from keyringrc.cfg. `leave` in config.toml is a choice, so
it is only named, but for what is stored and cannot be had by tools because of it.
"""

from __future__ import annotations

import shlex
import sys
from fnmatch import fnmatchcase
from importlib import metadata
from urllib.parse import urlsplit

from tokenward.checks import ok, problem, warning
from tokenward.keyring_program.agent_client import is_covered, read_start
from tokenward.settings import directories
from tokenward.setup import keyring_part
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

_PLUGINS = {
    "*.pkg.dev": ("keyrings.gauth", "keyrings.google-artifactregistry-auth"),
    "*.d.codeartifact.*.amazonaws.com": ("keyrings.codeartifact", "keyrings.codeartifact"),
    "pkgs.dev.azure.com": ("artifacts_keyring", "artifacts-keyring"),
    "*.pkgs.visualstudio.com": ("artifacts_keyring", "artifacts-keyring"),
}
"""By host: the module of the plug-in that its cloud documents, and the package that has it."""


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
    path = keyring_part.configuration(directories.config_base(environ, directories.home(environ)))
    configured = read_start(path).decode(errors="replace")
    loaded = [each.value for each in metadata.entry_points(group="keyring.backends")]
    missing = False
    for one in adopted:
        host = urlsplit(str(one["service"])).hostname or ""
        for pattern, (module, package) in _PLUGINS.items():
            if not fnmatchcase(host, pattern) or module in configured:
                continue
            if any(
                value == module or value.startswith((f"{module}.", f"{module}:"))
                for value in loaded
            ):
                continue
            missing = True
            yield problem(
                PLUGINS,
                f"{package}, the plug-in of keyring for {display(str(one['service']))}, is not"
                " installed beside tokenward, where it was adopted from.",
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
