"""A small thing to remember in the state directory: a private JSON file of text by text.

It holds no secret. A memory that is missing or damaged is empty; a new one takes the old one's
place in one step.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from tokenward.errors import CommandError
from tokenward.files import read


class Memory:
    """What `path` remembers; its directory is made when there is something to write."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def load(self) -> dict[str, str]:
        """Return all of it; whatever is not as we write it counts for nothing."""
        try:
            known = json.loads(read(str(self._path)) or b"{}")
        except (ValueError, RecursionError):
            return {}
        if not isinstance(known, dict):
            return {}
        return {key: value for key, value in known.items() if isinstance(value, str)}

    def save(self, known: dict[str, str]) -> None:
        """Remember this and nothing else. Raises CommandError where it cannot be written."""
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(temporary, "x", opener=_private, encoding="utf-8") as file:
                json.dump(known, file, indent=1, sort_keys=True)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise CommandError(f"{self._path} cannot be written: {error.strerror}.") from None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
