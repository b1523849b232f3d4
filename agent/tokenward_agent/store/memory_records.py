"""Secrets in memory only, sealed under a key that dies with this process.

They open until the key is replaced, as by a lock, which makes all of them unreadable at once, also
those that wait to be sent.

Credentials in memory are in no file, and end with the agent or a lock. They are for tokens that live
for minutes, such as those of trusted publishing, and each of these has an end; and for adopted
credentials where no vault can be written. A lookup treats them like a vault's
records and before those. At most `MOST` are kept, with `MOST_BYTES` of secrets, since no vault's
limits apply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokenward_agent.failure import KeyDestroyed
from tokenward_agent.vault.record import check
from tokenward_agent.vault.sealing import (
    KEY_SIZE,
    OVERHEAD,
    Tampered,
    context,
    fill_random,
    open_into,
    seal,
)
from tokenward_protocol.messages import MEMORY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tokenward_agent.arena import Arena
    from tokenward_agent.vault.record import Key, Record


MOST: Final = 256
MOST_BYTES: Final = 4 << 20


class ProcessKey:
    """A random key in the arena."""

    def __init__(self, arena: Arena) -> None:
        self._key = arena.allocate(KEY_SIZE)
        self.forget()

    def seal(self, secret: memoryview, where: bytes) -> KeptSecret:
        """Seal a secret, bound to the context *where*."""
        return KeptSecret(self._key, secret, where)

    def forget(self) -> None:
        """Make all sealed secrets unreadable."""
        fill_random(self._key)


class KeptSecret:
    """A secret in memory, of `size` bytes when open."""

    __slots__ = ("_key", "_where", "sealed", "size")

    def __init__(self, key: memoryview, secret: memoryview, where: bytes) -> None:
        self._key = key
        self._where = where
        self.sealed = seal(key, secret, where)
        self.size = len(self.sealed) - OVERHEAD

    def open_into(self, view: memoryview) -> None:
        """Open it. Raises KeyDestroyed after `forget`."""
        try:
            open_into(self._key, self.sealed, self._where, view)
        except Tampered:
            raise KeyDestroyed from None


class MemoryRecords:
    """The records of one agent that are in no vault. The caller watches their lifetimes."""

    provider = MEMORY
    state: Final = "open"
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
        return seal(self._key, secret, _memory_context(service, username))

    def open_secret(self, record: Record, out: memoryview) -> int:
        """Open a record's secret into *out* and return its size in bytes. Raises KeyDestroyed."""
        place = _memory_context(record.service, record.username)
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
        """Keep a record, replacing the former one. Raises ValueError if a vault would refuse it."""
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


def _memory_context(service: str, username: str) -> bytes:
    return context(b"tokenward memory", service, username)
