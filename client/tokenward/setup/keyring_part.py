"""The part `keyring`: how tools that import the keyring library or run `keyring` find tokenward.

- The backend in one file, in a folder of its own in the state directory. Every interpreter that has
  the keyring library can load it, even after tokenward is uninstalled. Such tools would load any
  other file in that folder, too, so it holds nothing else and is closed to other users.
- keyringrc.cfg, which the library reads before it looks at installed backends:
  `$XDG_CONFIG_HOME/python_keyring`, else `~/.config/python_keyring` (on macOS too), as in
  keyring.util.platform_.
- `~/.local/bin/keyring`, for uv, and for pip and pdm if the library is not installed.

Some variables keep tools from asking tokenward, whatever these files say. Such a variable may be
intended (many a CI image has keyring's null backend) and is left alone; setup and doctor report its
effect. The only value that is shown is the name of a backend.
"""

from __future__ import annotations

import os

from tokenward.files import ini
from tokenward.keyring_program import standalone
from tokenward.keyring_program.agent_client import read_start
from tokenward.setup.work import SettingsEdit, WholeFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Final

    from tokenward.files.draft import Draft


_LIBRARY: Final = b"from keyring.cli import main"
"""What pip and uv write into the library's command."""

PART = "keyring"
BACKEND = f"{standalone.MODULE}.Keyring"


def steps(config: str, state: str, home: str, python: str) -> Iterator[WholeFile | SettingsEdit]:
    """Yield the steps; `config` is the configuration folder, `python` our interpreter."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    module = module_path(state)
    yield WholeFile(
        PART, module, standalone.module(python), 0o600, f"move {module} away", alone=True
    )
    values = {"default-keyring": BACKEND, "keyring-path": folder(state)}

    def edit(draft: Draft, over: bool) -> list[str]:
        ini.put_values(draft, "backend", values, over=over)
        return []

    lines = f"`default-keyring = {BACKEND}` and `keyring-path = {folder(state)}` in [backend]"
    yield SettingsEdit(PART, configuration(config), edit, lines, needs=module)
    program = program_path(home)
    hint = f"move {program} away; or keep it: with the keyring library it asks tokenward too"
    yield WholeFile(PART, program, standalone.program(python, package), 0o755, hint)


def is_library_command(path: str) -> bool:
    """Return whether a file is the keyring library's own command: it asks tokenward by keyringrc.cfg."""
    return _LIBRARY in read_start(path)


def configuration(config: str) -> str:
    """Return the path of keyringrc.cfg in the configuration folder."""
    return f"{config}/python_keyring/keyringrc.cfg"


def folder(state: str) -> str:
    """Return the folder that holds only the copy of the backend."""
    return f"{state}/keyring"


def module_path(state: str) -> str:
    """Return the path of the copy of the backend."""
    return f"{folder(state)}/{standalone.MODULE}.py"


def program_path(home: str) -> str:
    """Return the path of the `keyring` program."""
    return f"{home}/.local/bin/keyring"


VARIABLE: Final = "PYTHON_KEYRING_BACKEND"
"""The keyring library obeys it before its keyringrc.cfg."""

_OURS: Final = {BACKEND, "tokenward.keyring_backend.Keyring"}

_OFF: Final = {"disabled", "false", "0", "no", "off"}
_TOOLS: Final = {
    "UV_KEYRING_PROVIDER": "uv",
    "PIP_KEYRING_PROVIDER": "pip",
    "POETRY_KEYRING_ENABLED": "poetry",
}


def variable_problems(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield which variable keeps which tools from asking, as a sentence and a hint."""
    chosen = environ.get(VARIABLE, "").strip()
    if chosen and chosen not in _OURS:
        name = chosen if chosen.replace(".", "").isidentifier() else "another backend"
        yield (
            f"{VARIABLE} is {name}, so the keyring library asks that in every tool, not tokenward.",
            f"`unset {VARIABLE}`, and remove it from your shell's profile",
        )
    for variable, tool in _TOOLS.items():
        if environ.get(variable, "").strip().lower() in _OFF:
            yield (
                f"{variable} makes {tool} ask no keyring, so it does not ask tokenward either.",
                f"`unset {variable}`, and remove it from your shell's profile",
            )
