"""The two vaults of a credentials directory as one: lookup over both, state, and what is told.

A credential lives in the vault of its provider (`subprocess` is another way into that of
`keyring`). Service and user name are unique over both: the latest login wins, and where the other
vault was closed then, the older record is removed when it opens, before it answers anything.

Expired records answer nothing from the second on that they are over, and leave the disk with the
next save that can be made. A miss while a vault that could hold the answer is not open is never
called a miss. Changes are in changes.py, opening in opening.py; everything in here is
quick and runs on the loop.
"""

from __future__ import annotations

import asyncio
import os
from typing import NamedTuple

from tokenward_agent.failure import Failure, Gone
from tokenward_agent.store.lookup import Index, find
from tokenward_agent.vault.errors import Damaged, VaultError
from tokenward_agent.vault.lifetime import Now
from tokenward_agent.vault.record import Record  # noqa: TC001 - NamedTuple reads its annotations
from tokenward_agent.vault.sealing import KEY_SIZE, OVERHEAD
from tokenward_agent.vault.storage import Storage
from tokenward_agent.vault.vault import Vault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenward_agent.arena import Arena
    from tokenward_agent.clock import Clock
    from tokenward_agent.vault.record import Key
    from tokenward_agent.vault.vault import Change, Prepared
    from tokenward_protocol.packing import Value

VAULT_OF = {"keyring": "keyring", "subprocess": "keyring", "disabled": "disabled"}
"""Which vault each provider's credentials live in."""

_NEVER = 1 << 62


class Found(NamedTuple):
    """A record and the vault that it lies in."""

    record: Record
    vault: Vault

    def sealed(self) -> SecretOfRecord:
        """Return its secret, to be opened when it is sent."""
        return SecretOfRecord(self.record, self.vault)


class SecretOfRecord:
    """A stored secret on its way out; it stays sealed until there is room to send it."""

    __slots__ = ("_record", "_vault", "size")

    def __init__(self, record: Record, vault: Vault) -> None:
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
    return Failure("locked", "The vault was locked meanwhile.", "`auth unlock`")


class Vaults:
    """Both vaults of `directory`, which need not exist yet."""

    def __init__(self, directory: str, arena: Arena, clock: Clock) -> None:
        self.directory = directory
        self.clock = clock
        self.each = {
            provider: Vault(Storage(directory, f"{provider}.vault"), provider, arena.take(KEY_SIZE))
            for provider in ("keyring", "disabled")
        }
        self.changing = asyncio.Lock()
        """Held by whoever is between reading a vault and adopting what a thread made of it."""
        self._indexes = {provider: Index() for provider in self.each}
        self._hidden: dict[str, dict[Key, int]] = {provider: {} for provider in self.each}
        self._first_end = Now(_NEVER, _NEVER, "")
        self.notes: dict[str, str] = {}  # why a vault could not be opened, by its provider
        self.closings = 0
        """How often a vault was closed: whoever began before and waited, compares."""
        self.when_over: Callable[[Vault], None] = lambda _vault: None
        for vault in self.each.values():
            vault.adopt_look(vault.look())

    def now(self) -> Now:
        """Return the time by all clocks."""
        return Now(self.clock.wall(), self.clock.boot(), self.clock.boot_id())

    def of(self, provider: str | None) -> list[Vault]:
        """Return the vaults that a request is about: one provider's, or all."""
        return [self.each[VAULT_OF[provider]]] if provider else list(self.each.values())

    def find(self, places: Iterable[str], user: str | None, provider: str | None) -> Found | None:
        """Return what answers from the open vaults, at the first of `places`. Raises Ambiguous."""
        self.drop_expired()
        indexes = [self._indexes[vault.provider] for vault in self.of(provider)]
        record = find(indexes, places, user)
        return None if record is None else self._found(record)

    def at(self, service: str, provider: str | None) -> list[Found]:
        """Return what is stored under exactly this service."""
        self.drop_expired()
        return [
            Found(record, vault)
            for vault in self.of(provider)
            for record in self._indexes[vault.provider].at(service)
        ]

    def all_records(self, provider: str | None = None) -> list[Found]:
        """Return everything in the open vaults, with the latest use of each."""
        self.drop_expired()
        return [
            Found(record._replace(last_used=vault.last_used(record)), vault)
            for vault in self.of(provider)
            for record in self._indexes[vault.provider]
        ]

    def _found(self, record: Record) -> Found:
        for provider, vault in self.each.items():
            if record in self._indexes[provider].at(record.service):
                return Found(record, vault)
        raise LookupError

    def not_open(self, provider: str | None) -> list[Vault]:
        """Return the vaults that are there but not open: they may hold what was not found."""
        return [vault for vault in self.of(provider) if vault.state in {"closed", "broken"}]

    def lost(self) -> bool:
        """Tell whether the file of an open vault is gone; the loop may ask, now and then."""
        return any(
            vault.state == "open" and not os.path.lexists(vault.storage.path)
            for vault in self.each.values()
        )

    def miss(self, service: str | None, provider: str | None) -> Failure:
        """Return what to say where nothing was found."""
        shut = self.not_open(provider)
        for vault in shut:
            if vault.problem is not None:
                return Failure(vault.problem.code, vault.problem.message, vault.problem.hint)
        if shut:
            names: list[Value] = [vault.provider for vault in shut]
            these = " and ".join(f"`{name}`" for name in names)
            why = next((f": {self.notes[n]}" for v in shut if (n := v.provider) in self.notes), ".")
            what = f"The vault of {these} is not open{why}"
            return Failure("locked", what, "`auth unlock`", vaults=names)
        what = f"Nothing is stored for {service}." if service else "Nothing is stored."
        return Failure("not-found", what, "`auth login`")

    async def save(self, vault: Vault, change: Change, wall: int) -> None:
        """Write what `change` makes of a vault's records; what is hidden goes with it.

        `changing` must be held. Raises as `change` does.
        """
        hidden = dict(self._hidden[vault.provider])

        def visible(held: dict[Key, Record]) -> dict[Key, Record]:
            return {k: each for k, each in held.items() if hidden.get(k) != each.created}

        await self.change(
            vault, lambda: vault.save(lambda held: change(visible(held)), wall), hidden
        )

    async def change(
        self, vault: Vault, work: Callable[[], Prepared], gone: Iterable[Key] = ()
    ) -> None:
        """Have a thread read or write a vault, and adopt what comes of it.

        `changing` must be held; `gone` is what is hidden no more once this is done. Raises what
        the work raises; a VaultError as a Failure.
        """
        before, closings = vault.records, self.closings
        try:
            prepared = await asyncio.to_thread(work)
        except VaultError as error:
            if isinstance(error, Damaged):
                vault.adopt_look(error)
            raise Failure(error.code, error.message, error.hint) from None
        except ValueError as error:
            raise Failure("bad-request", f"This cannot be stored: {error}.") from None
        if closings != self.closings or not vault.adopt(prepared):
            vault.close()  # a lock came in between, perhaps before the thread had begun
            raise overtaken()
        index = self._indexes[vault.provider]
        index.update(before, vault.records)
        hidden = self._hidden[vault.provider]
        for key in gone:
            hidden.pop(key, None)
        for key, created in hidden.items():
            record = vault.records.get(key)
            if record is not None and record.created == created:
                index.drop(*key)
        self._first_end = Now(0, 0, "")

    def closed(self, vault: Vault) -> None:
        """Close a vault: its keys are wiped, its records forgotten."""
        vault.close()
        self.closings += 1
        self._indexes[vault.provider] = Index()
        self._hidden[vault.provider].clear()

    def hide(self, vault: Vault, records: Iterable[Record]) -> None:
        """Let records of an open vault answer nothing; the next `save` removes them."""
        for record in records:
            self._hidden[vault.provider][record.key] = record.created
            self._indexes[vault.provider].drop(*record.key)

    def has_hidden(self, vault: Vault) -> bool:
        """Tell whether a vault holds records that answer nothing."""
        return bool(self._hidden[vault.provider])

    # Lifetimes.

    def drop_expired(self) -> None:
        """Let nothing answer that is over, and have it removed from the disk."""
        if self.clock.wall() < self._first_end.wall and self.clock.boot() < self._first_end.boot:
            return
        now = self.now()
        for provider, vault in self.each.items():
            index = self._indexes[provider]
            over = [each for each in index if each.expires and each.expires.over(now, vault.seen)]
            self.hide(vault, over)
            if over:
                self.when_over(vault)
        self._note_ends()

    def _note_ends(self) -> None:
        """Remember when by either clock the next record may be over."""
        boot = self.clock.boot_id()
        ends = [each.expires for index in self._indexes.values() for each in index if each.expires]
        self._first_end = Now(
            min((end.wall_end for end in ends), default=_NEVER),
            min((end.boot_end for end in ends if end.boot_id == boot), default=_NEVER),
            boot,
        )
