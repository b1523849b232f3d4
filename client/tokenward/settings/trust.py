"""The project settings that the user trusts: `auth trust DIR`.

A checkout must not choose where a vault lies or which provider holds a secret. So a project's
`auth-cache-dir` and `keyring-provider` are obeyed only if the user trusted exactly this file, at
this path and with this content; one changed byte ends the trust. Only the path and a SHA-256 are
stored in the state directory, never the content.
"""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING

from tokenward.files.json_store import Memory

if TYPE_CHECKING:
    from tokenward.settings.uv_toml import UvSettings


class TrustedFiles:
    """Resolved paths and digests, in `trusted.json` of the directory `state`."""

    def __init__(self, state: str) -> None:
        self._memory = Memory(f"{state}/trusted.json")

    def __contains__(self, settings: UvSettings) -> bool:
        return self._memory.load().get(os.path.realpath(settings.file)) == _digest(settings)

    def add(self, settings: UvSettings) -> bool:
        """Record a file as it was read; return False if it is recorded already.

        Raises CommandError if it cannot be written.
        """
        if settings in self:
            return False
        known = self._memory.load()
        self._memory.save(known | {os.path.realpath(settings.file): _digest(settings)})
        return True


def _digest(settings: UvSettings) -> str:
    return sha256(settings.data).hexdigest()
