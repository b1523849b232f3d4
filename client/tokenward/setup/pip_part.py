"""The part `pip`: a setting in the user's pip.conf to run the `keyring` program.

Without it pip asks a keyring library beside it, else the program, and with `--no-input`, which
build passes, neither. With `subprocess` it always asks the program, in every environment, and faster than
it can import the library. The price: a keyring plug-in that is installed in only one environment
answers only to the `keyring` of that environment.

The file is `$XDG_CONFIG_HOME/pip/pip.conf`, on macOS `~/Library/Application Support/pip/pip.conf`
if that folder exists; or the older `~/.pip/pip.conf` if it is the only one.

https://pip.pypa.io/en/stable/topics/configuration/
"""

from __future__ import annotations

import os

from tokenward.setup import ini
from tokenward.setup.step import ForeignSettingError, SettingsEdit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward.setup.draft import Draft

PART = "pip"
KEY, VALUE = "keyring-provider", "subprocess"


def path(platform: str, config: str, home: str) -> str:
    """Return the pip.conf of the user."""
    folder = f"{config}/pip"
    library = f"{home}/Library/Application Support/pip"
    if platform == "darwin" and os.path.isdir(library):
        folder = library
    older = f"{home}/.pip/pip.conf"
    found = f"{folder}/pip.conf"
    return older if os.path.exists(older) and not os.path.exists(found) else found


def settings_edit(path: str) -> SettingsEdit:
    """Return the step for pip.conf."""
    return SettingsEdit(PART, path, _edit, f"`{KEY} = {VALUE}` in [global]")


def _edit(draft: Draft, over: bool) -> list[str]:
    said = ini.parse(draft.text)
    if said.has_option("global", KEY.replace("-", "_")):  # pip accepts both spellings
        raise ForeignSettingError(KEY)
    ini.put_values(draft, "global", {KEY: VALUE}, over=over)
    return []
