"""The lookup rule: which record answers, over the records of any number of vaults.

Without a user name the longest path with any entry decides alone: `__token__` if it is stored
there, else the only account there; else the lookup is ambiguous and the caller learns the accounts.
With a user name only that user's entries count, and the longest path wins. If none is above the
URL, that user's only entry at the origin answers, because some indexes keep their files beside
themselves. The lookup never guesses and never falls back to a shorter path. An opaque service
matches only itself.

An account may have several entries, whose tokens are for different projects. The narrowest that
covers the projects of a request answers; which is the newest makes no difference.

Pure. A lookup costs one dictionary access for each path segment, whatever the number of records.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tokenward_agent.failure import Failure, KeyDestroyed
from tokenward_agent.store.closed_vaults import origin
from tokenward_agent.vault.errors import VaultError
from tokenward_agent.vault.record import Limits, Record  # noqa: TC001 - likewise
from tokenward_agent.vault.sealing import OVERHEAD
from tokenward_protocol.urls import prefixes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tokenward_agent.vault.record import Key, Record

TOKEN_USER = "__token__"  # noqa: S105 - the user name that indexes give to tokens
"""The account that answers if the request names none."""


class Ambiguous(Exception):  # noqa: N818 - an answer to a question
    """Several accounts compete at `service`, or several entries of one; `usernames` lists them.

    `limits` has the projects of each of those entries. If the request was for projects, they are
    `wanted`.
    """

    def __init__(
        self,
        service: str,
        usernames: list[str],
        limits: Sequence[Limits] = (),
        wanted: tuple[str, ...] = (),
    ) -> None:
        text = f"Several accounts are stored for {service}."
        if limits:
            these = ", ".join(f"one for {project_names(each)}" for each in limits[:_MOST_LISTED])
            more = ", and more" if len(limits) > _MOST_LISTED else ""
            text = f"Several tokens of {usernames[0]} are stored for {service}: {these}{more}."
            if wanted:
                text = f"{text[:-1]}; which is meant for {project_names(wanted)} is not certain."
        super().__init__(text)
        self.service = service
        self.usernames = usernames
        self.limits = limits


_MOST_LISTED = 8
_MOST_NAMES = 4


def project_names(limits: Limits) -> str:
    """Name some projects."""
    if limits is None:
        return "every project"
    return " and ".join((*limits[:_MOST_NAMES], *(["more"] if len(limits) > _MOST_NAMES else [])))


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
            self.drop(key)
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
        """Add a record, replacing the one of its key."""
        others = self._take_out(record.key)
        self._by_service[record.service] = (*others, record)
        account = origin(record.service), record.username
        self._by_account[account] = (*self._by_account.get(account, ()), record)
        self.size += 1

    def drop(self, key: Key) -> None:
        """Remove a record if it is there."""
        others = self._take_out(key)
        if others:
            self._by_service[key[0]] = others
        else:
            self._by_service.pop(key[0], None)

    def _take_out(self, key: Key) -> tuple[Record, ...]:
        """Take a record out of both maps and the count; return its neighbours."""
        here = self._by_service.get(key[0], ())
        others = tuple(record for record in here if record.key != key)
        self.size -= len(here) - len(others)
        account = origin(key[0]), key[1]
        kept = tuple(r for r in self._by_account.get(account, ()) if r.key != key)
        if kept:
            self._by_account[account] = kept
        else:
            self._by_account.pop(account, None)
        return others


def candidates(service: str) -> Iterable[str]:
    """Return the services whose entries may answer for `service`, the best first."""
    return prefixes(service) if "://" in service else (service,)


def find_account(
    holders: Sequence[tuple[Holder, RecordIndex]],
    places: Iterable[str],
    username: str | None,
    beside: Iterable[str] = (),
) -> list[StoredRecord]:
    """Return the entries of the account that answers, from the first of `places` that has one.

    If no place answers, the only entry of the named user at the origins `beside` does. Raises
    Ambiguous.
    """
    for place in places:
        here = [StoredRecord(each, holder) for holder, index in holders for each in index.at(place)]
        if here:
            name = username
            if name is None:
                name = choose(place, [found.record for found in here])
            if of_name := [found for found in here if found.record.username == name]:
                return of_name
    if username is None:
        return []
    of_user = [
        StoredRecord(each, holder)
        for holder, index in holders
        for at in beside
        for each in index.of(at, username)
    ]
    return of_user if len({found.record.service for found in of_user}) == 1 else []


def choose(service: str, here: Iterable[Record]) -> str:
    """Return the user name of the account of `here` that answers if none is named.

    Raises Ambiguous.
    """
    names = sorted({record.username for record in here})
    if len(names) > 1 and TOKEN_USER not in names:
        raise Ambiguous(service, names)
    return TOKEN_USER if TOKEN_USER in names else names[0]


def choose_entry(entries: Sequence[Entry], wanted: tuple[str, ...]) -> Entry:
    """Return the entry of one account that answers for the projects `wanted`, () if none is known.

    It is the narrowest that covers them; without any, the only entry, or else the account-wide one.
    Raises Ambiguous if no entry is it, or two are equally narrow.
    """
    if len(entries) == 1:
        return entries[0]
    if wanted:
        fit = [each for each in entries if each.limits is None or set(wanted) <= {*each.limits}]
        least = min((_width(each) for each in fit), default=0)
        fit = [each for each in fit if _width(each) == least]
    else:
        fit = [each for each in entries if each.limits is None]
    if len(fit) != 1:
        record = entries[0].found.record
        limits = [each.limits for each in entries]
        raise Ambiguous(record.service, [record.username], limits, wanted)
    return fit[0]


def choose_stored(
    account: list[StoredRecord],
    entry_of: Callable[[StoredRecord], Entry],
    wanted: tuple[str, ...] = (),
) -> StoredRecord | None:
    """Return the entry of an account that answers, None if there is none. Raises Ambiguous.

    `entry_of`, which may open a secret, is called only if there are several.
    """
    if len(account) < 2:
        return account[0] if account else None
    return choose_entry([entry_of(each) for each in account], wanted).found


def _width(entry: Entry) -> float:
    return inf if entry.limits is None else len(entry.limits)


class Holder(Protocol):
    """What holds a record: a vault, the memory, the recipes, or a run that brought it along."""

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


class Entry(NamedTuple):
    """A stored record, and the projects (sorted) that it is visibly limited to, None for all."""

    found: StoredRecord
    limits: Limits


class RecordSecret:
    """A stored secret to be sent; it stays sealed until the socket has room."""

    __slots__ = ("_record", "_vault", "sealed", "size")

    def __init__(self, record: Record, vault: Holder) -> None:
        self._record = record
        self._vault = vault
        self.sealed = record.secret or b""
        self.size = len(self.sealed) - OVERHEAD

    def open_into(self, view: memoryview) -> None:
        """Open it. Raises KeyDestroyed if the vault was closed or has another key by now."""
        try:
            self._vault.open_secret(self._record, view)
        except VaultError:
            raise KeyDestroyed from None


def locked_meanwhile_error() -> Failure:
    """Return the failure for a request that waited for a vault when a lock came."""
    return Failure("locked", "The vault was locked meanwhile.", "`auth unlock`", stored=None)
