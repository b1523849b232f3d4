"""The directories of this user: credentials, state and configuration.

| directory | is |
| --- | --- |
| credentials | `$TOKENWARD_DIR`, else the setting `auth-cache-dir`, else the user's data directory |
| state | the user's state directory; one folder in it per credentials directory |
| configuration | the user's configuration directory; `$TOKENWARD_CONFIG` names another file |

Nothing here reads or makes a file; only links are resolved. An empty variable counts as not set. A
path that is not UTF-8 is refused before anything is made, because neither a request to the agent
nor the settings of other tools could hold it.
"""

from __future__ import annotations

import os
import sys

from tokenward.errors import CommandError
from tokenward_os import user
from tokenward_protocol import folder_trust, places
from tokenward_protocol.light import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Directories(Record):
    """Absolute paths; `credentials` and `ordinary` have their links resolved.

    `ordinary` is the default credentials directory; `chosen_by` names the setting that chose
    another one, or is "".
    """

    credentials: str
    ordinary: str
    state: str
    chosen_by: str = ""

    @property
    def state_folder(self) -> str:
        """The folder of this credentials directory in the state directory."""
        from tokenward.keyring_program.agent_client import directory_tag

        return os.path.join(self.state, directory_tag(self.credentials))


def home(environ: Mapping[str, str]) -> str:
    """Return the user's home directory: $HOME, else the one in the user database."""
    if sys.platform != "win32" and (found := environ.get("HOME")):
        return _require_text(found)
    if (found := user.home(environ)) is None:
        raise CommandError("This user has no home directory.", "set HOME")
    return found if sys.platform == "win32" else _require_text(found)


def config_file(environ: Mapping[str, str]) -> str:
    """Return the path of config.toml, which may not exist."""
    if named := environ.get("TOKENWARD_CONFIG"):
        return _require_text(os.path.abspath(named))
    return f"{_require_text(places.config_directory(sys.platform, environ, home(environ)))}/config.toml"


def config_base(environ: Mapping[str, str], home: str) -> str:
    """Return the folder of other tools' configuration; on macOS it is the same."""
    named = environ.get("XDG_CONFIG_HOME", "")
    return named.rstrip("/") if os.path.isabs(named) else f"{home}/.config"


def state(environ: Mapping[str, str]) -> str:
    """Return the state directory."""
    return _require_text(places.state_directory(sys.platform, environ, home(environ)))


def locate(environ: Mapping[str, str], setting: str | None = None, file: str = "") -> Directories:
    """Return the directories; `setting` is the value of `auth-cache-dir`, `file` its file."""
    ordinary = os.path.realpath(places.data_directory(sys.platform, environ, home(environ)))
    if named := environ.get("TOKENWARD_DIR"):
        credentials, chosen_by = os.path.realpath(named), "TOKENWARD_DIR"
    elif setting:
        written = expand(setting, file, home(environ))
        credentials, chosen_by = os.path.realpath(written), f"auth-cache-dir in {file}"
    else:
        credentials, chosen_by = ordinary, ""
    return Directories(
        _require_text(credentials), _require_text(ordinary), state(environ), chosen_by
    )


def _require_text(path: str) -> str:
    """Return the path. Raises CommandError if it is not UTF-8."""
    if not folder_trust.is_text(path):
        raise CommandError(
            f"The path {folder_trust.printable(path)} is not valid UTF-8, so nothing is kept there.",
            "rename it, or set HOME, TOKENWARD_DIR or the XDG_* variables to another one",
        )
    return path


def expand(path: str, file: str, home: str) -> str:
    """Return a path from settings: `~` is the home directory, the rest is relative to `file`.

    Raises CommandError for another user's home and for text that cannot be a path.
    """
    if path == "~" or path.startswith("~/"):
        path = home + path[1:]
    if path.startswith("~") or "\0" in path:
        raise CommandError(
            f"The directory in {file} is not a path.",
            "write it in full, or with ~/ at its start",
        )
    return os.path.join(os.path.dirname(file), path)
