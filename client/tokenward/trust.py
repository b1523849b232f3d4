"""Which project settings a person has looked at: `auth trust DIR`.

A checkout must not choose where a vault lies or which provider holds a secret. So a project's
`auth-cache-dir` and `keyring-provider` are obeyed only if this very file, at this path and with
this content, has been trusted; one changed byte and it is a stranger's again. What is remembered
is a path and a SHA-256 in the state directory, never the content.
"""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from tokenward.errors import CommandError
from tokenward.files import read

if TYPE_CHECKING:
    from tokenward.uv_settings import UvSettings


class TrustedFiles:
    """The memory: a JSON object of resolved paths and digests, in `trusted.json` of `state`."""

    def __init__(self, state: str) -> None:
        self._path = Path(state) / "trusted.json"

    def __contains__(self, settings: UvSettings) -> bool:
        return self._load().get(os.path.realpath(settings.file)) == _digest(settings)

    def add(self, settings: UvSettings) -> bool:
        """Remember a file as it was read. False if it is known already.

        Raises CommandError where the memory cannot be written.
        """
        if settings in self:
            return False
        known = self._load() | {os.path.realpath(settings.file): _digest(settings)}
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
        return True

    def _load(self) -> dict[str, str]:
        """Whatever is not as we write it trusts nothing."""
        try:
            known = json.loads(read(str(self._path)) or b"{}")
        except ValueError:
            return {}
        return known if isinstance(known, dict) else {}


def _digest(settings: UvSettings) -> str:
    return sha256(settings.data).hexdigest()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
