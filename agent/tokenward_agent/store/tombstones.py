"""What must not come back from a vault: what was logged out or was over, and may still lie in it.

A vault that was closed may hold an older credential of the service and user name that was logged
out. What was told to be over leaves the vault a moment later, or not at all where that cannot be
written; by then the clock may have been set back, and the agent locked or killed. A tombstone says
up to which moment; it stands in the state folder until the vault was opened and those records were
removed. It names service and user name by a digest.

It is for honest order, not for security: whoever can remove it can use the older vault anyway.
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
    """What must not come back from the vault of `provider`, noted in the folder `state`."""

    def __init__(self, state: str, provider: str) -> None:
        self._path = os.path.join(state, f"{provider}.tombstones.json")
        self._unwritten: dict[str, int] = {}

    def bury(self, records: Iterable[Record]) -> None:
        """Remember records that are gone. Raises OSError where this agent alone remembers them."""
        held = self._read()
        for record in records:
            key = _digest(record.key)
            held[key] = max(record.created, held.get(key, 0))
        self._unwritten = held
        replace(self._path, json.dumps(held).encode())
        self._unwritten = {}

    def after(self, key: Key) -> int:
        """Return the first moment at which a record of *key* is none of those."""
        return self._read().get(_digest(key), -1) + 1

    def cover(self, records: Iterable[Record]) -> list[Record]:
        """Return those of `records` that a later logout was about."""
        held = self._read()
        if not held:
            return []
        return [each for each in records if each.created <= held.get(_digest(each.key), -1)]

    def clear(self) -> None:
        """Forget all; to be done when the vault holds none of them any more."""
        self._unwritten = {}
        with contextlib.suppress(OSError):
            if os.path.lexists(self._path):
                os.unlink(self._path)

    def _read(self) -> dict[str, int]:
        written = {k: v for k, v in read_object(self._path).items() if type(v) is int}
        return written | self._unwritten


def _digest(key: Key) -> str:
    return hashlib.sha256("\0".join(key).encode()).hexdigest()
