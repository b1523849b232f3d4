"""Options that a project gives pdm: where `publish` has some, they may choose the place of an upload.

pdm puts `[tool.pdm.options] publish` before the words of its command line, and an `-r` there wins
over `PDM_PUBLISH_REPO`, while user name and password stay those of the environment. So a project
with such options, or with a pyproject.toml that we cannot read, gets none of them. The URL with the
account in it would go nowhere else, but pdm prints that URL when an upload fails.

https://pdm-project.org/latest/reference/configuration/
"""

from __future__ import annotations

import os

from tokenward.errors import CommandError
from tokenward.files import parse_toml, read, upward

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def chosen_by(places: Iterable[str]) -> str | None:
    """Return the file that may have options for `pdm publish` in or above one of `places`, or None.

    Places are absolute; those that are no folder count for nothing.
    """
    for place in places:
        if os.path.isdir(place):
            for folder in upward(os.path.realpath(place)):
                path = os.path.join(folder, "pyproject.toml")
                if _has_options(path):
                    return path
    return None


def _has_options(path: str) -> bool:
    try:
        data = read(path)
        table: object = {} if data is None else parse_toml(data, path)
    except CommandError:
        return True
    for key in ("tool", "pdm", "options", "publish"):
        table = table.get(key) if isinstance(table, dict) else None
    return table is not None
