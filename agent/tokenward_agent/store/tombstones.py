"""What was logged out while the other vault was closed: it must not come back when that opens.

The other vault may hold an older credential of the same service and user name, which the one that
was logged out had replaced. A tombstone says up to which moment; it stands in the state folder
until that vault was opened and the older one removed. It names service and user name by a digest.

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

    from tokenward_agent.vault.record import Record


class Tombstones:
    """What must not come back from the vault of `provider`, noted in the folder `state`."""

    def __init__(self, state: str, provider: str) -> None:
        self._path = os.path.join(state, f"{provider}.tombstones.json")

    def bury(self, records: Iterable[Record]) -> None:
        """Remember records that were removed. Raises OSError where that cannot be written."""
        held = self._read()
        for record in records:
            held[_digest(record)] = max(record.created, held.get(_digest(record), 0))
        replace(self._path, json.dumps(held).encode())

    def cover(self, records: Iterable[Record]) -> list[Record]:
        """Return those of `records` that a later logout was about."""
        held = self._read()
        if not held:
            return []
        return [each for each in records if each.created <= held.get(_digest(each), -1)]

    def clear(self) -> None:
        """Forget all; to be done when the vault holds none of them any more."""
        with contextlib.suppress(OSError):
            if os.path.lexists(self._path):
                os.unlink(self._path)

    def _read(self) -> dict[str, int]:
        return {k: v for k, v in read_object(self._path).items() if type(v) is int}


def _digest(record: Record) -> str:
    return hashlib.sha256(f"{record.service}\0{record.username}".encode()).hexdigest()
