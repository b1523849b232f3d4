"""The content of a project's folders, read with bounds.

A folder may lie on a disk that does not answer, so this runs in a thread. It passes over a file
that is larger than a project's own, is not a plain file, or cannot be read or parsed.
"""

from __future__ import annotations

import os
import stat
import tomllib

from tokenward_agent.peer.distribution import is_name
from tokenward_os.files import SETTINGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

MOST_FILES: Final = 1000
PYPROJECT_BYTES: Final = 256 * 1024


class ProjectFolders:
    """The real disk."""

    def names(self, folder: str) -> tuple[str, ...] | None:
        """Return the names of the plain files in a folder, hidden ones excluded.

        None if the folder holds anything else, holds too much, or cannot be read.
        """
        found: list[str] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue  # no pattern matches it, and `dist/.gitignore` is common
                    if not entry.is_file() or len(found) == MOST_FILES:
                        return None
                    found.append(entry.name)
        except OSError:
            return None
        return tuple(found)

    def project(self, folder: str) -> str | None:
        """Return the name in a folder's pyproject.toml, or None."""
        try:
            values = tomllib.loads(_text(os.path.join(folder, "pyproject.toml")))
        except (OSError, ValueError, RecursionError):
            return None
        poetry = _table(_table(values.get("tool")).get("poetry"))
        name = _table(values.get("project")).get("name", poetry.get("name"))
        return name if isinstance(name, str) and is_name(name) else None


def _text(path: str) -> str:
    file = os.open(path, os.O_RDONLY | SETTINGS)
    with open(file, "rb") as stream:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_size > PYPROJECT_BYTES:
            raise ValueError("not a project's own file")
        return stream.read(PYPROJECT_BYTES).decode()


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
