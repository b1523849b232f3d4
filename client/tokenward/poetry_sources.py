"""The package sources that a poetry project defines, where one name may be another index.

poetry sends `POETRY_HTTP_BASIC_<NAME>_…` to whatever URL the project's `[[tool.poetry.source]]` has
for NAME, so `auth exec` looks here before it sets them. A file that cannot be read defines nothing:
poetry does not get far with it either. Nothing else of poetry's settings is read.

https://python-poetry.org/docs/repositories/#package-sources
"""

from __future__ import annotations

import os

from tokenward.definition import Definition
from tokenward.errors import CommandError
from tokenward.files import parse_toml, read, upward


def of_project(directory: str) -> list[Definition]:
    """Return the sources of the nearest pyproject.toml upward from `directory` (absolute).

    A source without a URL, as poetry's own PyPI is written, is left out.
    """
    for folder in upward(directory):
        path = os.path.join(folder, "pyproject.toml")
        try:
            data = read(path)
            if data is not None:
                return _sources(data, path) if b"source" in data else []
        except CommandError:
            return []
    return []


def _sources(data: bytes, path: str) -> list[Definition]:
    table: object = parse_toml(data, path)
    for key in ("tool", "poetry", "source"):
        table = table.get(key) if isinstance(table, dict) else None
    found = []
    for entry in table if isinstance(table, list) else ():
        name, url = (
            (entry.get(key) for key in ("name", "url")) if isinstance(entry, dict) else ("", "")
        )
        if isinstance(name, str) and isinstance(url, str) and name and url:
            found.append(Definition(name, url, path))
    return found
