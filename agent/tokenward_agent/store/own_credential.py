"""A credential that a run brings along: one that the user has in the environment or in .pypirc.

It is in no vault, serves that run alone, and answers no other request. A lock makes it unreadable
for good, since no vault has it: the run is to be started again then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenward_agent.failure import Failure
from tokenward_agent.store.lookup import Entry, RecordIndex, find_account
from tokenward_agent.vault.record import Record, check, secret_context

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenward_agent.clock import Clock
    from tokenward_agent.store.lookup import StoredRecord
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

    def account(
        self,
        places: Iterable[str],
        user: str | None,
        _provider: str | None,
        _beside: Iterable[str] = (),
    ) -> list[StoredRecord]:
        """Return the record if it answers for one of `places`."""
        return find_account([(self, self._index)], places, user)

    def entry(self, found: StoredRecord) -> Entry:
        """Return the record as the only one of its account."""
        return Entry(found, None)

    def not_found_error(
        self, service: str | None, _provider: str | None, _origins: Iterable[str] = ()
    ) -> Failure:
        """Return the failure for a service that the credential is not for."""
        return Failure("not-found", f"The run's own credential is not for {service}.")

    def open_secret(self, _record: Record, out: memoryview) -> int:
        """Open the secret into *out* and return its size in bytes. Raises KeyDestroyed after a lock."""
        self._kept.open_into(out)
        return self._kept.size

    def use(self, _record: Record, _wall: int) -> None:
        """Nothing remembers the use of what is not stored."""
