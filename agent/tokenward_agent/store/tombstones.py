"""Tombstones: logged-out or expired records that may still be in a vault and must not come back.

A vault that was closed may hold an older credential of a service and user name that was logged out.
An expired record leaves the vault a moment later, or not at all if that cannot be written; by then
the clock may have been set back, and the agent locked or killed. A tombstone says up to which time
records are gone. It stays in the state folder until the vault was opened and those records were
removed. It names service and user name by a digest.

Tombstones keep the order, not a secret: a process that can remove them can use the older vault
anyway.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os

from tokenward_agent.store.state_files import read_object, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenward_agent.vault.record import Key, Record


class Tombstones:
    """The tombstones of the vault of `provider`, in the folder `state`."""

    def __init__(self, state: str, provider: str) -> None:
        self._path = os.path.join(state, f"{provider}.tombstones.json")
        self._unwritten: dict[str, int] = {}

    def add(self, records: Iterable[Record]) -> None:
        """Note records that are gone. Raise OSError if only this agent knows it."""
        held = self._read()
        for record in records:
            key = _digest(record.key)
            held[key] = max(record.created, held.get(key, 0))
        self._unwritten = held
        replace(self._path, json.dumps(held).encode())
        self._unwritten = {}

    def earliest_login(self, key: Key) -> int:
        """Return the first time at which a record of *key* is not covered."""
        return self._read().get(_digest(key), -1) + 1

    def matching(self, records: Iterable[Record]) -> list[Record]:
        """Return the records that are covered."""
        held = self._read()
        if not held:
            return []
        return [each for each in records if each.created <= held.get(_digest(each.key), -1)]

    def clear(self) -> None:
        """Remove all tombstones; call it when the vault holds none of their records."""
        self._unwritten = {}
        with contextlib.suppress(OSError):
            if os.path.lexists(self._path):
                os.unlink(self._path)

    def _read(self) -> dict[str, int]:
        written = {k: v for k, v in read_object(self._path).items() if type(v) is int}
        return written | self._unwritten


def _digest(key: Key) -> str:
    return hashlib.sha256("\0".join(key).encode()).hexdigest()
