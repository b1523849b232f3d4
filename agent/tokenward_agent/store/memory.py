"""Credentials that are kept in memory alone: they are in no file, and end with the agent or a lock.

They are for tokens that live for minutes, as those of trusted publishing do. Each has an end. Their
secrets are sealed under a key of this process, and a lock destroys that, so that what waits to be
sent is gone, too. To a lookup they are what a vault's records are, and stand before those. There are
`MOST` at a time, with `MOST_BYTES` of secrets: no vault's size keeps them few.
"""

from __future__ import annotations

from tokenward_agent.failure import Gone
from tokenward_agent.vault.record import check
from tokenward_agent.vault.sealing import KEY_SIZE, Tampered, context, fill_random, open_into, seal
from tokenward_protocol.messages import MEMORY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Final

    from tokenward_agent.arena import Arena
    from tokenward_agent.vault.record import Key, Record

MOST: Final = 256
MOST_BYTES: Final = 4 << 20


class MemoryRecords:
    """The records of one agent that are in no vault. Lifetimes are watched by whoever looks."""

    provider = MEMORY
    seen = 0
    """The latest wall time that they have seen: they outlive no boot, so that it never counts."""

    def __init__(self, arena: Arena) -> None:
        self._key = arena.take(KEY_SIZE)
        self._records: dict[Key, Record] = {}
        self._used: dict[Key, int] = {}
        fill_random(self._key)

    @property
    def records(self) -> Mapping[Key, Record]:
        """The records by service and user name."""
        return self._records

    def seal(self, service: str, username: str, secret: memoryview) -> bytes:
        """Seal a secret for a record."""
        return seal(self._key, secret, _place(service, username))

    def open_secret(self, record: Record, out: memoryview) -> int:
        """Open a record's secret into *out* and return its size in bytes. Raises Gone."""
        place = _place(record.service, record.username)
        try:
            return open_into(self._key, record.secret or b"", place, out)
        except Tampered:
            raise Gone from None

    def has_room(self, key: Key, size: int) -> bool:
        """Tell whether a record with a secret of `size` bytes can be kept beside the others."""
        others = [each for each in self._records.values() if each.key != key]
        held = sum(len(each.secret or b"") for each in others)
        return len(others) < MOST and held + size <= MOST_BYTES

    def put(self, record: Record) -> None:
        """Keep a record, in the place of the one before. Raises ValueError if a vault would."""
        check(record)
        self._records[record.key] = record

    def drop(self, records: Iterable[Record]) -> None:
        """Forget records."""
        for record in records:
            self._records.pop(record.key, None)
            self._used.pop(record.key, None)

    def forget(self) -> None:
        """Forget all, and make whatever waits to be sent unreadable."""
        self.drop(list(self._records.values()))
        fill_random(self._key)

    def use(self, record: Record, wall: int) -> None:
        """Remember that a record was used."""
        self._used[record.key] = wall

    def last_used(self, record: Record) -> int | None:
        """Return when a record was last used."""
        return self._used.get(record.key)


def _place(service: str, username: str) -> bytes:
    return context(b"tokenward memory", service, username)
