"""The lookup rule: which record answers, over the records of any number of vaults.

Without a user name the longest path with any entry decides alone: `__token__` if it is stored
there, else the only account there; else the lookup is ambiguous and the caller learns the accounts.
With a user name only that user's entries count, and the longest path wins. If none is above the
URL, that user's only entry at the origin answers, because some indexes keep their files beside
themselves. The lookup never guesses and never falls back to a shorter path. An opaque service
matches only itself.

Pure. A lookup costs one dictionary access for each path segment, whatever the number of records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from tokenward_agent.failure import Failure, KeyDestroyed
from tokenward_agent.store.closed_vaults import origin
from tokenward_agent.vault.errors import VaultError
from tokenward_agent.vault.record import Record
from tokenward_agent.vault.sealing import OVERHEAD
from tokenward_protocol.urls import prefixes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tokenward_agent.vault.record import Key, Record

TOKEN_USER = "__token__"  # noqa: S105 - the user name that indexes give to tokens
"""The account that answers if the request names none."""


class Ambiguous(Exception):  # noqa: N818 - an answer to a question
    """Several accounts compete at `service`; `usernames` lists them."""

    def __init__(self, service: str, usernames: list[str]) -> None:
        super().__init__(f"Several accounts are stored for {service}.")
        self.service = service
        self.usernames = usernames


class RecordIndex:
    """The records of one vault by service."""

    __slots__ = ("_by_account", "_by_service", "size")

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._by_service: dict[str, tuple[Record, ...]] = {}
        self._by_account: dict[tuple[str, str], tuple[Record, ...]] = {}  # by origin and user
        self.size = 0
        for record in records:
            self.put(record)

    def __iter__(self) -> Iterator[Record]:
        for records in self._by_service.values():
            yield from records

    def update(self, before: Mapping[Key, Record], after: Mapping[Key, Record]) -> None:
        """Apply the difference between two states of a vault."""
        for key in before.keys() - after.keys():
            self.drop(*key)
        for key, record in after.items():
            if before.get(key) is not record:
                self.put(record)

    def at(self, service: str) -> tuple[Record, ...]:
        """Return the records of exactly this service."""
        return self._by_service.get(service, ())

    def of(self, origin: str, username: str) -> tuple[Record, ...]:
        """Return the records of a user at an origin, at any path."""
        return self._by_account.get((origin, username), ())

    def put(self, record: Record) -> None:
        """Add a record, replacing one of the same service and user name."""
        others = self._take_out(record.service, record.username)
        self._by_service[record.service] = (*others, record)
        account = origin(record.service), record.username
        self._by_account[account] = (*self._by_account.get(account, ()), record)
        self.size += 1

    def drop(self, service: str, username: str) -> None:
        """Remove a record if it is there."""
        others = self._take_out(service, username)
        if others:
            self._by_service[service] = others
        else:
            self._by_service.pop(service, None)

    def _take_out(self, service: str, username: str) -> tuple[Record, ...]:
        """Take a record out of both maps and the count; return its neighbours."""
        here = self._by_service.get(service, ())
        others = tuple(record for record in here if record.username != username)
        self.size -= len(here) - len(others)
        account = origin(service), username
        kept = tuple(r for r in self._by_account.get(account, ()) if r.service != service)
        if kept:
            self._by_account[account] = kept
        else:
            self._by_account.pop(account, None)
        return others


def candidates(service: str) -> Iterable[str]:
    """Return the services whose entries may answer for `service`, the best first."""
    return prefixes(service) if "://" in service else (service,)


def find(
    indexes: list[RecordIndex],
    places: Iterable[str],
    username: str | None,
    beside: Iterable[str] = (),
) -> Record | None:
    """Return the record that answers, from the first of `places` that has one, or None.

    If no place answers, the only entry of the named user at the origins `beside` does. Raise
    Ambiguous.
    """
    for place in places:
        here: dict[str, Record] = {}
        for index in indexes:
            for record in index.at(place):
                here.setdefault(record.username, record)  # the first index has precedence
        if here:
            if username is None:
                return choose(place, list(here.values()))
            if username in here:
                return here[username]
    if username is None:
        return None
    of_user: dict[str, Record] = {}
    for index in indexes:
        for place in beside:
            for record in index.of(place, username):
                of_user.setdefault(record.service, record)
    return next(iter(of_user.values())) if len(of_user) == 1 else None


def choose(service: str, here: list[Record]) -> Record:
    """Return the account of `here` that answers if none is named. Raise Ambiguous."""
    if len(here) > 1:
        for record in here:
            if record.username == TOKEN_USER:
                return record
        raise Ambiguous(service, sorted(record.username for record in here))
    return here[0]


class Holder(Protocol):
    """What holds a record: a vault, the memory, or a run that brought it along."""

    @property
    def provider(self) -> str:
        """Where it is held, as answers name it."""
        ...

    def open_secret(self, record: Record, out: memoryview, /) -> int:
        """Open a record's secret into *out* and return its size in bytes."""
        ...

    def use(self, record: Record, wall: int, /) -> None:
        """Remember a use of a record."""


class StoredRecord(NamedTuple):
    """A record, and what holds it."""

    record: Record
    vault: Holder

    def secret(self) -> RecordSecret:
        """Return its secret, still sealed."""
        return RecordSecret(self.record, self.vault)


class RecordSecret:
    """A stored secret to be sent; it stays sealed until the socket has room."""

    __slots__ = ("_record", "_vault", "size")

    def __init__(self, record: Record, vault: Holder) -> None:
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
