"""The user's own `keyring` program, for the provider `subprocess`.

The first on PATH that nobody else can replace and that will still be there tomorrow: a regular
file of the user's or root's, not writable by others, outside the working directory and outside
virtual environments. Its absolute path goes to the agent, which remembers it and never looks at a
PATH itself.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def find(environ: Mapping[str, str], cwd: str) -> str | None:
    """Return the absolute path of the program, as it is on PATH, or None."""
    for folder in environ.get("PATH", "").split(os.pathsep):
        path = f"{folder}/keyring"
        if folder.startswith("/") and _outside(folder, cwd) and _is_safe(folder, path):
            return path
    return None


def _outside(folder: str, cwd: str) -> bool:
    """Tell whether a folder is neither the working directory, nor below, nor an environment's."""
    real, here = os.path.realpath(folder), os.path.realpath(cwd)
    below = here != "/" and f"{real}/".startswith(f"{here}/")
    environment = os.path.exists(f"{os.path.dirname(real)}/pyvenv.cfg")
    return not below and not environment


def _is_safe(folder: str, path: str) -> bool:
    """Tell whether it is a program that only the user and root can replace."""
    try:
        found = os.stat(path)
        around = os.stat(folder)
    except OSError:
        return False
    return (
        stat.S_ISREG(found.st_mode)
        and os.access(path, os.X_OK)
        and all(s.st_uid in {0, os.geteuid()} and not s.st_mode & 0o022 for s in (found, around))
    )
