"""Keys of slots in files: as they are, or protected by DPAPI on Windows.

The file is in the state folder of the credentials directory, never in that directory: a copy of the
directory alone opens nothing. A key is read into the caller's memory and is never an object here.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Final

from tokenward_agent.failure import Failure
from tokenward_agent.files import open_plain, read_into, replace
from tokenward_agent.vault.sealing import KEY_SIZE

BY_ITSELF: Final = "dpapi" if sys.platform == "win32" else "key-file"
"""The slot of a vault that opens without the user if there is no system keyring."""

_ENDINGS: Final = {"key-file": "key", "dpapi": "dpapi"}
_PROTECTED_BYTES: Final = 4096
_FOREIGN: Final = "The vault opens by DPAPI, only for the Windows user that made it."


class KeyFiles:
    """The key files in the folder `state`, by the kind of the slot and the vault's id."""

    def __init__(self, state: str) -> None:
        self._state = state

    def read(self, kind: str, vault_id: str, key: memoryview) -> None:
        """Read the key of a slot into `key`. Raise Failure."""
        path = self._path(kind, vault_id)
        if kind == "dpapi" and sys.platform != "win32":
            raise Failure("provider", _FOREIGN)
        try:
            file = open_plain(path)
            try:
                whole = _read_protected(file, key) if kind == "dpapi" else _read_plain(file, key)
            finally:
                os.close(file)
        except OSError as error:
            raise Failure(
                "provider",
                f"The key file {path} cannot be read: {error.strerror}.",
                "restore it from a backup, or move the vault away and log in again",
            ) from None
        if not whole:
            raise Failure("provider", f"The key file {path} is not {KEY_SIZE} bytes long.")

    def write(self, kind: str, vault_id: str, key: memoryview) -> None:
        """Write the key of a new slot, flushed to the disk. Raise Failure."""
        path = self._path(kind, vault_id)
        try:
            replace(path, _protect(key) if kind == "dpapi" else key)
        except OSError as error:
            raise Failure(
                "provider", f"The key file {path} cannot be written: {error.strerror}."
            ) from None

    def remove(self, kind: str, vault_id: str) -> None:
        """Remove the key of a slot that no longer exists."""
        with contextlib.suppress(OSError):
            os.unlink(self._path(kind, vault_id))

    def _path(self, kind: str, vault_id: str) -> str:
        return os.path.join(self._state, f"{vault_id}.{_ENDINGS[kind]}")


def _read_plain(file: int, key: memoryview) -> bool:
    return read_into(file, key) == KEY_SIZE and not os.read(file, 1)


def _read_protected(file: int, key: memoryview) -> bool:
    if sys.platform != "win32":
        raise Failure("provider", _FOREIGN)
    from tokenward_agent.windows import dpapi

    return dpapi.open_into(os.read(file, _PROTECTED_BYTES), key) == KEY_SIZE


def _protect(key: memoryview) -> bytes:
    if sys.platform != "win32":
        raise Failure(
            "provider", "DPAPI exists only on Windows.", "use a slot of the kind `key-file`"
        )
    from tokenward_agent.windows import dpapi

    return dpapi.protect(key)
