"""A small store in the state directory: a private JSON file with texts by text.

It holds no secret. A missing or damaged file counts as empty; a new one replaces the old one in one
step.
"""

from __future__ import annotations

import json
import os

from tokenward.errors import CommandError
from tokenward.files.reading import read


class Memory:
    """The contents of `path`; its directory is made with the first write."""

    def __init__(self, path: str) -> None:
        self._path = path

    def load(self) -> dict[str, str]:
        """Return the contents; anything that is not as we write it is ignored."""
        try:
            known = json.loads(read(self._path) or b"{}")
        except (ValueError, RecursionError):
            return {}
        if not isinstance(known, dict):
            return {}
        return {key: value for key, value in known.items() if isinstance(value, str)}

    def save(self, known: dict[str, str]) -> None:
        """Store exactly these. Raises CommandError if they cannot be written."""
        from tokenward.files import own_folders
        from tokenward.files.atomic_write import replace

        try:
            own_folders.make(os.path.dirname(self._path))
            replace(self._path, json.dumps(known, indent=1, sort_keys=True).encode())
        except OSError as error:
            raise CommandError(f"{self._path} cannot be written: {error.strerror}.") from None
