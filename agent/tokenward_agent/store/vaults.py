"""The two vaults of a credentials directory as one: lookup, state, and the failures of a miss.

A credential is in the vault of its provider (`subprocess` is another way into that of `keyring`), or a
recipe says which command makes it. Service, user name and the projects that a token is visibly
limited to are unique over both vaults: the latest login wins. If the other vault was closed then,
its older record is removed when it opens, before it answers.

Expired records stop answering at once, and leave the disk with the next save. Their end is noted
before a request can see it, so no clock brings them back. A miss is not reported as one while a
vault that could hold the answer is not open. Changes are in changes.py, opening in opening.py;
everything here is quick and runs on the loop.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from tokenward_agent.failure import Failure
from tokenward_agent.store.closed_vaults import StoredOrigins
from tokenward_agent.store.lookup import (
    Entry,
    RecordIndex,
    StoredRecord,
    find_account,
    locked_meanwhile_error,
)
from tokenward_agent.store.memory_records import MemoryRecords
from tokenward_agent.store.recipe_records import RecipeRecords
from tokenward_agent.vault.errors import Damaged, VaultError
from tokenward_agent.vault.record import Now
from tokenward_agent.vault.sealing import KEY_SIZE
from tokenward_agent.vault.storage import Storage
from tokenward_agent.vault.vault import Vault
from tokenward_protocol.messages import COMMAND, MEMORY, vaults_are

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenward_agent.arena import Arena
    from tokenward_agent.clock import Clock
    from tokenward_agent.store.recipe_records import Configured
    from tokenward_agent.vault.record import Key, Limits, Record
    from tokenward_agent.vault.vault import Change, Prepared
    from tokenward_protocol.packing import Value

VAULT_OF = {"keyring": "keyring", "subprocess": "keyring", "disabled": "disabled"}
"""The vault of each provider's credentials."""

_NEVER = 1 << 62


class Vaults:
    """Both vaults of `directory`, which need not exist yet; `state` is its state folder.

    `configured` returns the recipes of config.toml.
    """

    def __init__(
        self,
        directory: str,
        state: str,
        arena: Arena,
        clock: Clock,
        configured: Callable[[], Configured] = lambda: (),
    ) -> None:
        self.directory = directory
        self.clock = clock
        self.each = {
            provider: Vault(
                Storage(directory, f"{provider}.vault"), provider, arena.allocate(KEY_SIZE)
            )
            for provider in ("keyring", "disabled")
        }
        self.memory = MemoryRecords(arena)
        self.recipes = RecipeRecords(state, configured, clock.wall)
        self.changing = asyncio.Lock()
        """Held from reading a vault until the result of the thread is adopted."""
        self._indexes = {provider: RecordIndex() for provider in (MEMORY, *self.each)}
        self._indexes[COMMAND] = RecordIndex(self.recipes)
        self._stored = StoredOrigins(state)
        self._hidden: dict[str, dict[Key, int]] = {provider: {} for provider in self.each}
        self._first_end = Now(_NEVER, _NEVER, "")
        self.notes: dict[str, str] = {}  # why a vault could not be opened, by its provider
        self.hints: dict[str, str] = {}  # what helps, if known
        self.closings = 0  # how often a vault was closed; a request that waited compares it
        self.read_limits: Callable[[StoredRecord], Limits] = lambda _found: None
        """Returns the projects that the token of an entry is visibly limited to."""
        self.when_over: Callable[[Vault, list[Record]], None] = lambda _vault, _over: None
        self.observers: list[Callable[[], None]] = []
        for vault in self.each.values():
            vault.install_header(vault.read_header())

    def when_changed(self) -> None:
        """Call the observers: something was opened, closed, locked or unlocked."""
        for observe in self.observers:
            observe()

    def now(self) -> Now:
        """Return the time by all clocks."""
        return Now(self.clock.wall(), self.clock.boot(), self.clock.boot_id())

    def of(self, provider: str | None) -> list[Vault]:
        """Return the vaults that a request is about: one provider's, or all."""
        return [self.each[VAULT_OF[provider]]] if provider else list(self.each.values())

    def account(
        self,
        places: Iterable[str],
        user: str | None,
        provider: str | None,
        beside: Iterable[str] = (),
    ) -> list[StoredRecord]:
        """Return the entries of the account that answers: those in memory, else of the open vaults.

        The first of `places` with an entry decides; else the only service of this user at the
        origins `beside` answers. Raises Ambiguous.
        """
        self.drop_expired()
        holders = [(each, self._indexes[each.provider]) for each in self._holders(provider)]
        found = find_account(holders, places, user, beside)
        for first in (self.memory, self.recipes):
            if alone := [each for each in found if each.vault is first]:
                return alone
        return found

    def entry(self, found: StoredRecord) -> Entry:
        """Return an entry with its limits, which may open its secret."""
        record = found.record
        if record.projects:
            return Entry(found, record.projects)
        return Entry(found, None if record.adopted is not None else self.read_limits(found))

    def _holders(self, provider: str | None) -> list[Vault | MemoryRecords | RecipeRecords]:
        """Return the holders of records that a request is about, by precedence."""
        if provider:
            return [*self.of(provider)]
        return [self.memory, self.recipes, *self.each.values()]

    def at(self, service: str, provider: str | None) -> list[StoredRecord]:
        """Return the entries of exactly this service."""
        self.drop_expired()
        return [
            StoredRecord(record, each)
            for each in self._holders(provider)
            for record in self._indexes[each.provider].at(service)
        ]

    def all_records(self, provider: str | None = None) -> list[StoredRecord]:
        """Return all entries of the open vaults, with their latest use."""
        self.drop_expired()
        return [
            StoredRecord(record._replace(last_used=each.last_used(record)), each)
            for each in self._holders(provider)
            for record in self._indexes[each.provider]
        ]

    def not_open(self, provider: str | None) -> list[Vault]:
        """Return the vaults that exist but are not open: they may hold what was not found."""
        return [vault for vault in self.of(provider) if vault.state in {"closed", "broken"}]

    def is_file_lost(self) -> bool:
        """Tell whether the file of an open vault is gone; quick enough for the loop."""
        return any(
            vault.state == "open" and not os.path.lexists(vault.storage.path)
            for vault in self.each.values()
        )

    def needs_passphrase(self) -> bool:
        """Return whether an open vault opens by its passphrase alone, once it is closed."""
        opened = [vault for vault in self.each.values() if vault.state == "open"]
        return any(
            vault.header is not None
            and {slot.kind for slot in vault.header.slots} == {"passphrase"}
            for vault in opened
        )

    def not_found_error(
        self, service: str | None, provider: str | None, origins: Iterable[str] = ()
    ) -> Failure:
        """Return the failure for a service, of these origins, for which nothing was found.

        If a vault that is not open could have it, `stored` says whether one has anything there.
        """
        shut = self.not_open(provider)
        stored = self._stored.has(shut, origins) if shut else None
        for vault in shut:
            if vault.problem is not None:
                found = vault.problem
                return Failure(found.code, found.message, found.hint, stored=stored)
        if shut:
            names: list[Value] = [vault.provider for vault in shut]
            why = next((f": {self.notes[n]}" for v in shut if (n := v.provider) in self.notes), ".")
            what = f"The {vaults_are(names)} not open{why}"
            hint = next((self.hints[n] for n in names if n in self.hints), "`auth unlock`")
            return Failure("locked", what, hint, vaults=names, stored=stored)
        what = f"Nothing is stored for {service}." if service else "Nothing is stored."
        return Failure("not-found", what, "`auth login`")

    async def save(self, vault: Vault, change: Change, wall: int) -> None:
        """Save a vault's visible records, changed; `changing` must be held. Raises as `change`."""
        hidden = dict(self._hidden[vault.provider])

        def visible(held: dict[Key, Record]) -> dict[Key, Record]:
            return {k: each for k, each in held.items() if hidden.get(k) != each.created}

        await self.change(
            vault, lambda: vault.save(lambda held: change(visible(held)), wall), hidden
        )

    async def change(
        self, vault: Vault, work: Callable[[], Prepared], gone: Iterable[Key] = ()
    ) -> None:
        """Have a thread read or write a vault, and adopt the result.

        `changing` must be held; `gone` are hidden keys that the work removes. Raises what the work
        raises; a VaultError as a Failure.
        """
        before, closings = vault.records, self.closings
        try:
            prepared = await asyncio.to_thread(work)
        except VaultError as error:
            if isinstance(error, Damaged):
                vault.install_header(error)
            raise Failure(error.code, error.message, error.hint) from None
        except ValueError as error:
            raise Failure("bad-request", f"The credential cannot be stored: {error}.") from None
        if closings != self.closings or not vault.install(prepared):
            vault.close()  # a lock came, perhaps before the thread began
            raise locked_meanwhile_error()
        index = self._indexes[vault.provider]
        index.update(before, vault.records)
        hidden = self._hidden[vault.provider]
        for key in gone:
            hidden.pop(key, None)
        for key, created in hidden.items():
            record = vault.records.get(key)
            if record is not None and record.created == created:
                index.drop(key)
        self._stored.note(vault, {record.service for record in index})
        self._first_end = Now(0, 0, "")
        self.when_changed()

    def close(self, vault: Vault) -> None:
        """Close a vault: wipe its keys and forget its records."""
        vault.close()
        self.closings += 1
        self._indexes[vault.provider] = RecordIndex()
        self._hidden[vault.provider].clear()
        self.when_changed()

    def hide(self, vault: Vault, records: Iterable[Record]) -> None:
        """Stop records of an open vault from answering; the next `save` removes them."""
        for record in records:
            self._hidden[vault.provider][record.key] = record.created
            self._indexes[vault.provider].drop(record.key)

    def keep_in_memory(self, record: Record) -> None:
        """Keep a record in memory only, replacing the former one. Raises ValueError."""
        self.memory.put(record)
        self._indexes[MEMORY].put(record)
        self._first_end = Now(0, 0, "")

    def drop_from_memory(self, records: Iterable[Record]) -> None:
        """Forget records that are in memory only."""
        for record in records:
            self._indexes[MEMORY].drop(record.key)
            self.memory.drop([record])

    def forget_memory(self) -> None:
        """Forget all records that are in memory only."""
        self.memory.forget()
        self._indexes[MEMORY] = RecordIndex()

    def change_recipes(self, change: Callable[[], None]) -> None:
        """Change the stored recipes; raise what *change* raises."""
        change()
        self._indexes[COMMAND] = RecordIndex(self.recipes)

    def has_hidden(self, vault: Vault) -> bool:
        """Tell whether a vault has hidden records."""
        return bool(self._hidden[vault.provider])

    # Lifetimes.

    def drop_expired(self) -> None:
        """Stop expired records from answering, and have them removed from the disk.

        The recipes of config.toml are looked at as well.
        """
        if self.recipes.refresh():
            self._indexes[COMMAND] = RecordIndex(self.recipes)
        if self.clock.wall() < self._first_end.wall and self.clock.boot() < self._first_end.boot:
            return
        now = self.now()
        self.drop_from_memory(self._find_expired(self.memory, now))
        for vault in self.each.values():
            over = self._find_expired(vault, now)
            self.hide(vault, over)
            if over:
                self.when_over(vault, over)
        self._note_ends()

    def _find_expired(self, holder: Vault | MemoryRecords, now: Now) -> list[Record]:
        index = self._indexes[holder.provider]
        return [
            each for each in index if each.expires and each.expires.is_over(now, holder.latest_time)
        ]

    def _note_ends(self) -> None:
        """Remember when the next record may expire, by either clock."""
        boot = self.clock.boot_id()
        ends = [each.expires for index in self._indexes.values() for each in index if each.expires]
        self._first_end = Now(
            min((end.wall_end for end in ends), default=_NEVER),
            min((end.boot_end for end in ends if end.boot_id == boot), default=_NEVER),
            boot,
        )
