"""Credentials in memory only: they are in no file, and end with the agent or a lock.

They are for tokens that live for minutes, such as those of trusted publishing. Each has an end.
Their secrets are sealed under a key of this process, which a lock replaces, so secrets that wait to
be sent are gone, too. A lookup treats them like a vault's records and before those. At most `MOST`
are kept, with `MOST_BYTES` of secrets, since no vault's limits apply.
"""

from __future__ import annotations

from tokenward_agent.failure import KeyDestroyed
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
    """The records of one agent that are in no vault. The caller watches their lifetimes."""

    provider = MEMORY
    latest_time = 0
    """The latest wall time seen; never needed, since these records do not outlive a boot."""

    def __init__(self, arena: Arena) -> None:
        self._key = arena.allocate(KEY_SIZE)
        self._records: dict[Key, Record] = {}
        self._used: dict[Key, int] = {}
        fill_random(self._key)

    @property
    def records(self) -> Mapping[Key, Record]:
        """The records by service and user name."""
        return self._records

    def seal(self, service: str, username: str, secret: memoryview) -> bytes:
        """Seal a secret for a record."""
        return seal(self._key, secret, _context(service, username))

    def open_secret(self, record: Record, out: memoryview) -> int:
        """Open a record's secret into *out* and return its size in bytes. Raise KeyDestroyed."""
        place = _context(record.service, record.username)
        try:
            return open_into(self._key, record.secret or b"", place, out)
        except Tampered:
            raise KeyDestroyed from None

    def has_room(self, key: Key, size: int) -> bool:
        """Tell whether a record with a secret of `size` bytes fits beside the others."""
        others = [each for each in self._records.values() if each.key != key]
        held = sum(len(each.secret or b"") for each in others)
        return len(others) < MOST and held + size <= MOST_BYTES

    def put(self, record: Record) -> None:
        """Keep a record, replacing the former one. Raise ValueError if a vault would refuse it."""
        check(record)
        self._records[record.key] = record

    def drop(self, records: Iterable[Record]) -> None:
        """Forget records."""
        for record in records:
            self._records.pop(record.key, None)
            self._used.pop(record.key, None)

    def forget(self) -> None:
        """Forget all records, and make those that wait to be sent unreadable."""
        self.drop(list(self._records.values()))
        fill_random(self._key)

    def use(self, record: Record, wall: int) -> None:
        """Remember a use of a record."""
        self._used[record.key] = wall

    def last_used(self, record: Record) -> int | None:
        """Return the time of a record's last use."""
        return self._used.get(record.key)


def _context(service: str, username: str) -> bytes:
    return context(b"tokenward memory", service, username)
