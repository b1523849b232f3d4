"""Tell where no system keyring can answer, without the library of keyrings: to load it takes 0.25 s.

On Linux each of them is on the session's bus, which libraries find by three ways. In every doubt the
answer is that one may be there, and the library decides; also where the user has chosen one.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

NO_BUS: Final = "No system keyring answered (no D-Bus session)."
_NAMED: Final = {"DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "PYTHON_KEYRING_BACKEND"}
"""An address, a screen by which libdbus starts a bus, and the user's choice."""


def may_have_keyring(environ: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Tell whether a system keyring may answer a process with this environment."""
    if platform in {"darwin", "win32"} or environ.keys() & _NAMED:
        return True
    home = environ.get("HOME") or os.path.expanduser("~")
    settings = environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    places = [os.path.join(settings, "python_keyring", "keyringrc.cfg")]
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        places.append(os.path.join(runtime, "bus"))
    return any(map(os.path.lexists, places))
