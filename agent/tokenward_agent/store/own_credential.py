"""A credential that a run brings along: one that the user has in the environment or in .pypirc.

It is in no vault, serves that run alone, and answers no other request. A lock makes it unreadable
for good, since no vault has it: the run is to be started again then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenward_agent.failure import Failure
from tokenward_agent.store.lookup import RecordIndex, StoredRecord, find
from tokenward_agent.vault.record import Record, check, secret_context

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenward_agent.clock import Clock
    from tokenward_agent.store.memory_records import ProcessKey


class OwnCredential:
    """Answers lookups as the vaults do, with one record. Raises ValueError if a vault refused it."""

    provider = "run"

    def __init__(
        self, key: ProcessKey, service: str, username: str, secret: memoryview, clock: Clock
    ) -> None:
        self.clock = clock
        self._kept = key.seal(secret, secret_context(self.provider, service, username))
        record = Record(service, username, clock.wall(), None, None, None, self._kept.sealed)
        check(record)
        self._index = RecordIndex([record])

    def find(
        self,
        places: Iterable[str],
        user: str | None,
        _provider: str | None,
        _beside: Iterable[str] = (),
    ) -> StoredRecord | None:
        """Return the record if it answers for one of `places`, else None."""
        record = find([self._index], places, user)
        return None if record is None else StoredRecord(record, self)

    def not_found_error(
        self, service: str | None, _provider: str | None, _origins: Iterable[str] = ()
    ) -> Failure:
        """Return the failure for a service that the credential is not for."""
        return Failure("not-found", f"The run's own credential is not for {service}.")

    def open_secret(self, _record: Record, out: memoryview) -> int:
        """Open the secret into *out* and return its size in bytes. Raise KeyDestroyed after a lock."""
        self._kept.open_into(out)
        return self._kept.size

    def use(self, _record: Record, _wall: int) -> None:
        """Nothing remembers the use of what is not stored."""
