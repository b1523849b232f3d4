"""The result of a lookup: a record, its vault, and its secret, which is opened to be sent."""

from __future__ import annotations

from typing import NamedTuple

from tokenward_agent.failure import Failure, KeyDestroyed
from tokenward_agent.store.memory_records import (
    MemoryRecords,  # noqa: TC001 - NamedTuple reads its annotations
)
from tokenward_agent.vault.errors import VaultError
from tokenward_agent.vault.record import Record  # noqa: TC001 - likewise
from tokenward_agent.vault.sealing import OVERHEAD
from tokenward_agent.vault.vault import Vault  # noqa: TC001 - likewise


class StoredRecord(NamedTuple):
    """A record, and the vault or memory that holds it."""

    record: Record
    vault: Vault | MemoryRecords

    def secret(self) -> RecordSecret:
        """Return its secret, still sealed."""
        return RecordSecret(self.record, self.vault)


class RecordSecret:
    """A stored secret to be sent; it stays sealed until the socket has room."""

    __slots__ = ("_record", "_vault", "size")

    def __init__(self, record: Record, vault: Vault | MemoryRecords) -> None:
        self._record = record
        self._vault = vault
        self.size = len(record.secret or b"") - OVERHEAD

    def open_into(self, view: memoryview) -> None:
        """Open it. Raise KeyDestroyed if the vault was closed or has another key by now."""
        try:
            self._vault.open_secret(self._record, view)
        except VaultError:
            raise KeyDestroyed from None


def locked_meanwhile_error() -> Failure:
    """Return the failure for a request that waited for a vault when a lock came."""
    return Failure("locked", "The vault was locked meanwhile.", "`auth unlock`", stored=None)
