"""Which tools setup knows, which parts each of them needs, and what those parts write where.

Every tool needs the part `keyring`. `shell` is no tool, and only done by its name. Without a named
tool, setup does `keyring` and the tools whose program is on PATH or in ~/.local/bin. If pip were
told to run a program that it does not find, it would ask no keyring at all, so it is left out then
if ~/.local/bin is not on PATH.
"""

from __future__ import annotations

import os
import shutil
import sys

from tokenward.errors import CommandError
from tokenward.settings import directories
from tokenward.setup import keyring_part, settings_parts, shell_part
from tokenward.ui.suggestions import closest
from tokenward_protocol import places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tokenward.setup.settings_parts import Accounts
    from tokenward.setup.work import SettingsEdit, WholeFile

TOOLS: dict[str, tuple[str, ...]] = {
    "keyring": ("keyring",),
    "uv": ("keyring", "uv"),
    "pip": ("keyring", "pip"),
    "build": ("keyring", "pip"),
    "twine": ("keyring",),
    "poetry": ("keyring",),
    "pdm": ("keyring",),
    "devpi": ("keyring",),
    "hatch": ("keyring", "pypirc"),
    "flit": ("keyring", "pypirc"),
    "shell": ("shell",),
}
"""Every tool, and its parts in the order in which they are written."""


PARTS = ("keyring", "uv", "pip", "pypirc", "shell")


def parts_for(tools: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Return the parts that these tools need, by default those of the installed tools.

    Raises CommandError for an unknown tool.
    """
    _check(tools)
    wanted = {part for tool in tools or _there(environ) for part in TOOLS[tool]}
    return [part for part in PARTS if part in wanted]


def parts_to_undo(tools: Sequence[str]) -> list[str]:
    """Return the parts to undo for these tools: `keyring` only by its name, or with all.

    Raises CommandError for an unknown tool.
    """
    _check(tools)
    if not tools:
        return [*PARTS]
    wanted = {part for tool in tools for part in TOOLS[tool] if part in {tool, "pip", "pypirc"}}
    return [part for part in PARTS if part in wanted]


def _check(tools: Sequence[str]) -> None:
    for tool in tools:
        if tool == "maturin":
            raise CommandError("The tool maturin asks no keyring.", "`auth exec -- maturin upload`")
        if tool not in TOOLS:
            near = closest(tool, TOOLS)
            hint = f"{f'did you mean {near}? ' if near else ''}known: {', '.join(TOOLS)}"
            raise CommandError("The tool is not known.", hint)


def _there(environ: Mapping[str, str]) -> list[str]:
    path, programs = environ.get("PATH", ""), _programs(environ)
    found = [
        tool
        for tool in TOOLS
        if tool != "shell" and shutil.which(tool, path=f"{path}{os.pathsep}{programs}")
    ]
    if programs not in path.split(os.pathsep):
        found = [tool for tool in found if "pip" not in TOOLS[tool]]
    return ["keyring", *found]


def _programs(environ: Mapping[str, str]) -> str:
    return os.path.dirname(keyring_part.program_path(directories.home(environ)))


def steps(
    parts: Sequence[str], environ: Mapping[str, str], accounts: Accounts
) -> Iterator[WholeFile | SettingsEdit]:
    """Yield the steps of these parts, file by file."""
    home = directories.home(environ)
    config = directories.config_base(environ, home)
    if "keyring" in parts:
        state = directories.state(environ)
        yield from keyring_part.steps(config, state, home, sys.executable)
    if "uv" in parts:
        yield settings_parts.uv_edit(places.uv_file(environ, home), accounts)
    if "pip" in parts:
        yield settings_parts.pip_edit(settings_parts.pip_conf(sys.platform, config, home))
    if "pypirc" in parts:
        yield settings_parts.pypirc_edit(home, accounts)
    if "shell" in parts:
        yield from shell_part.steps(environ, home)


def program_problem(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Return why `keyring` on PATH is not our program, as a sentence and a hint, or None."""
    ours = keyring_part.program_path(directories.home(environ))
    first = shutil.which("keyring", path=environ.get("PATH", ""))
    if first is not None and os.path.realpath(first) == os.path.realpath(ours):
        return None
    folder = _programs(environ)
    if folder not in environ.get("PATH", "").split(os.pathsep):
        return (
            f"{folder} is not on PATH, so uv and pip do not find the `keyring` program there.",
            f"`export PATH={folder}:$PATH` in your shell's profile, then `auth setup` again",
        )
    if first is None:
        return None
    return (
        f"{first} comes before {ours} on PATH, so uv and pip run it instead.",
        "with the keyring library it works too, but starts slowly",
    )
