"""What a lookup finds: a record, what holds it, and its secret on the way out."""

from __future__ import annotations

from typing import NamedTuple

from tokenward_agent.failure import Failure, Gone
from tokenward_agent.store.memory import (
    MemoryRecords,  # noqa: TC001 - NamedTuple reads its annotations
)
from tokenward_agent.vault.errors import VaultError
from tokenward_agent.vault.record import Record  # noqa: TC001 - likewise
from tokenward_agent.vault.sealing import OVERHEAD
from tokenward_agent.vault.vault import Vault  # noqa: TC001 - likewise


class Found(NamedTuple):
    """A record and the vault, or the memory, that it lies in."""

    record: Record
    vault: Vault | MemoryRecords

    def sealed(self) -> SecretOfRecord:
        """Return its secret, to be opened when it is sent."""
        return SecretOfRecord(self.record, self.vault)


class SecretOfRecord:
    """A stored secret on its way out; it stays sealed until there is room to send it."""

    __slots__ = ("_record", "_vault", "size")

    def __init__(self, record: Record, vault: Vault | MemoryRecords) -> None:
        self._record = record
        self._vault = vault
        self.size = len(record.secret or b"") - OVERHEAD

    def open_into(self, view: memoryview) -> None:
        """Open it. Raises Gone if the vault was closed or has another key meanwhile."""
        try:
            self._vault.open_secret(self._record, view)
        except VaultError:
            raise Gone from None


def overtaken() -> Failure:
    """Return what to say to whoever was waiting to use a vault when a lock came."""
    return Failure("locked", "The vault was locked meanwhile.", "`auth unlock`", stored=None)
