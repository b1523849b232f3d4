"""Logins and logouts: the changes of the vaults, one at a time.

A change is acknowledged when it is on the disk. After any failure the newer credential is there: it
is stored in its own vault first, and then the older one of the same service and user name is
removed from the other vault, at once or when that opens.
"""

from __future__ import annotations

import asyncio
import contextlib
from itertools import product
from typing import TYPE_CHECKING, Literal

from tokenward_agent.failure import Failure
from tokenward_agent.store.closed_vaults import Tombstones, origin
from tokenward_agent.store.lookup import Ambiguous, StoredRecord, choose
from tokenward_agent.store.sealed_variables import seal_variables
from tokenward_agent.store.vaults import VAULT_OF, Vaults
from tokenward_agent.vault.record import LONGEST, Lifetime, Record
from tokenward_agent.vault.vault import Vault
from tokenward_protocol.messages import vault_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward_agent.store.lookup import Entry
    from tokenward_agent.store.recipe_records import Pin, RecipeEntry
    from tokenward_agent.store.sealed_variables import Variables
    from tokenward_agent.vault.record import AdoptedSource, Key, Limits
    from tokenward_protocol.recipes import Recipe


class Changes:
    """Makes the changes of one agent's vaults."""

    def __init__(self, vaults: Vaults, state: str) -> None:
        self._vaults = vaults
        self._tombstones = {each: Tombstones(state, each) for each in vaults.each}
        self._sweeps: set[asyncio.Task[None]] = set()
        vaults.when_over = self._remove_expired

    async def login(
        self,
        service: str,
        username: str,
        secret: memoryview,
        provider: str,
        *,
        lifetime: int | None = None,
        adopt: AdoptedSource | None = None,
        never_shown: bool = False,
        relay_alone: bool = False,
        limits: Limits = None,
        trust: tuple[bytes, ...] = (),
    ) -> Record | None:
        """Store a credential in the open vault of `provider`; return the one that it replaced.

        With `adopt` it is read there, and `secret` is the variables for that, which may be empty.
        `limits` are the projects that it is visibly limited to. It replaces the entry of this service
        and user name with the same. `trust` are the marks of what its environment named.

        Raises Failure: `no-vault` or `locked` if the vault is not open, `bad-request`, `read-only`,
        `vault`.
        """
        if lifetime is not None:
            _check_lifetime(lifetime)
        vaults = self._vaults
        vault = vaults.each[VAULT_OF[provider]]
        async with vaults.changing:
            vaults.recipes.require_own(service, username)
            self.require_open(provider)
            now = vaults.now()
            account = [
                each for each in vaults.at(service, None) if each.record.username == username
            ]
            entries = [vaults.entry(each) for each in account if isinstance(each.vault, Vault)]
            older = [each.found for each in entries if each.limits == limits]
            minted = [each for each in account if not isinstance(each.vault, Vault)]
            here = [each for each in entries if each.found.vault is vault]
            renamed = _tell_apart(here, limits)
            record = Record(
                service,
                username,
                self._login_time(vault, service, username, limits, older, now.wall),
                None,
                None if lifetime is None else Lifetime.beginning(now, lifetime),
                adopt,
                vault.seal(service, username, secret) if secret or adopt is None else None,
                never_shown,
                relay_alone,
                _projects_of_new(here, limits),
                trust,
            )

            def change(held: dict[Key, Record]) -> dict[Key, Record]:
                return {**_renamed(held, renamed), record.key: record}

            await vaults.save(vault, change, record.created)
            for found in older:
                other = found.vault
                if isinstance(other, Vault) and other is not vault:
                    vaults.hide(other, [found.record])
                    await self._remove_hidden(other)
            self._drop_others(minted)
            vaults.when_changed()
        replaced = (each.record for each in (*older, *minted))
        return max(replaced, key=lambda each: each.created, default=None)

    def keep_in_memory(
        self,
        service: str,
        username: str,
        secret: memoryview,
        lifetime: int | None,
        adopt: AdoptedSource | None = None,
        trust: tuple[bytes, ...] = (),
    ) -> Record | None:
        """Keep a credential in memory only; return the one in memory that it replaced.

        With `adopt` it is read there, and `secret` is the variables for that, which may be empty.

        Raises Failure: `refused` if a vault has one of this service and user name, since that would
        be lost or would answer again later; `busy`, `bad-request`.
        """
        if lifetime is not None:
            _check_lifetime(lifetime)
        vaults = self._vaults
        here = [each for each in vaults.at(service, None) if each.record.username == username]
        if any(found.vault is not vaults.memory for found in here):
            raise Failure(
                "refused",
                f"A credential of {username} for {service} is stored already, and a login in"
                " memory does not replace it.",
                "`auth logout` removes the stored one",
            )
        if not vaults.memory.has_room((service, username), len(secret)):
            raise Failure(
                "busy",
                "The agent keeps no more credentials in memory.",
                "`auth logout` removes one, `auth lock` removes all of them",
            )
        now = vaults.now()
        end = None if lifetime is None else Lifetime.beginning(now, lifetime)
        sealed = vaults.memory.seal(service, username, secret) if secret or not adopt else None
        try:
            record = Record(service, username, now.wall, None, end, adopt, sealed, trust=trust)
            vaults.keep_in_memory(record)
        except ValueError as error:
            raise Failure("bad-request", f"The credential cannot be kept: {error}.") from None
        vaults.when_changed()
        return here[0].record if here else None

    async def logout(
        self,
        service: str | None,
        username: str | None,
        *,
        provider: str | None,
        every: bool,
        limits: Limits | Literal[False] = False,
    ) -> list[StoredRecord]:
        """Remove credentials and return them; if `limits` are given, the entry with just these.

        Raises Failure: `bad-request`, `not-found`, `locked`, `read-only`, `vault`. Raises Ambiguous.
        """
        if service is None and not every:
            raise Failure("bad-request", "A logout without a service needs `all`.")
        if username is not None and every:
            raise Failure("bad-request", "A logout cannot take both a user name and `all`.")
        vaults = self._vaults
        async with vaults.changing:
            if service is None:
                meant = [
                    each
                    for each in vaults.all_records(provider)
                    if each.vault is not vaults.recipes
                    or not vaults.recipes.is_configured(each.record)
                ]
            else:
                here = vaults.at(service, provider)
                meant = here if every or not here else self._select(here, service, username, limits)
                for found in meant:
                    vaults.recipes.require_own(found.record.service, found.record.username)
            shut = vaults.not_open(provider)
            if not meant or (every and shut):
                raise vaults.not_found_error(
                    service, provider, () if service is None else (origin(service),)
                )
            for vault in vaults.each.values():
                records = [found.record for found in meant if found.vault is vault]
                if records:
                    self._add_tombstones([each for each in meant if each.vault is vault])
                    await self._remove(vault, records)
            self._drop_others(meant)
            vaults.when_changed()
        return meant

    async def store_recipe(
        self,
        service: str,
        username: str,
        recipe: Recipe,
        pin: Pin,
        variables: Variables | None = None,
        trust: tuple[bytes, ...] = (),
    ) -> tuple[Record, Record | None]:
        """Store a recipe; return its record, and the credential or recipe that it replaced.

        The `variables` of its command are sealed in the open vault of their provider. Raises Failure.
        """
        vaults = self._vaults
        async with vaults.changing:
            vaults.recipes.require_own(service, username)
            older = [each for each in vaults.at(service, None) if each.record.username == username]
            sealed = None
            if variables is not None:
                self.require_open(variables.provider)
                sealed = seal_variables(vaults.each, variables, service, username)
            moments = (vaults.clock.wall(), *(each.record.created + 1 for each in older))
            made: list[Record] = []
            vaults.change_recipes(
                lambda: made.append(
                    vaults.recipes.add(
                        service, username, max(moments), recipe, pin, sealed, trust
                    ).record
                )
            )
            self._add_tombstones([StoredRecord(each, vaults.recipes) for each in made])
            for vault in vaults.each.values():
                if records := [found.record for found in older if found.vault is vault]:
                    self._add_tombstones([each for each in older if each.vault is vault])
                    await self._remove(vault, records)
            vaults.drop_from_memory(each.record for each in older if each.vault is vaults.memory)
            vaults.when_changed()
        return made[0], max(
            (each.record for each in older), key=lambda each: each.created, default=None
        )

    async def store_chosen(self, entry: RecipeEntry, pin: Pin, variables: Variables | None) -> None:
        """Store what a login chose for a recipe of config.toml; variables are sealed. Raises Failure."""
        vaults, record = self._vaults, entry.record
        async with vaults.changing:
            sealed = None
            if variables is not None:
                self.require_open(variables.provider)
                sealed = seal_variables(vaults.each, variables, record.service, record.username)
            vaults.change_recipes(lambda: vaults.recipes.choose(entry, pin, sealed))

    def _drop_others(self, records: list[StoredRecord]) -> None:
        """Forget the records that are in no vault."""
        vaults = self._vaults
        vaults.drop_from_memory(each.record for each in records if each.vault is vaults.memory)
        recipes = [each.record for each in records if each.vault is vaults.recipes]
        if recipes:
            vaults.change_recipes(lambda: vaults.recipes.remove(recipes))

    def _add_tombstones(self, found: list[StoredRecord]) -> None:
        """Note these entries, so that a closed vault does not answer later with older ones."""
        try:
            for vault in self._vaults.not_open(None):
                self._tombstones[vault.provider].add(
                    [(each.record, self._vaults.entry(each).limits) for each in found]
                )
        except OSError as error:
            raise Failure(
                "vault",
                f"The agent's state folder cannot be written ({error.strerror}), and the closed"
                " vault may hold an older credential of the same account.",
                "`auth unlock`, then log out again",
            ) from None

    def _select(
        self,
        here: list[StoredRecord],
        service: str,
        username: str | None,
        limits: Limits | Literal[False],
    ) -> list[StoredRecord]:
        """Return the entries of a service that a logout is about. Raises Ambiguous."""
        if username is None:
            username = choose(service, (found.record for found in here))
        entries = [self._vaults.entry(found) for found in here if found.record.username == username]
        if limits is not False:
            return [each.found for each in entries if each.limits == limits]
        kinds = list(dict.fromkeys(each.limits for each in entries))
        if len(kinds) > 1:
            raise Ambiguous(service, [username], kinds)
        return [each.found for each in entries]

    def _login_time(
        self,
        vault: Vault,
        service: str,
        username: str,
        limits: Limits,
        older: list[StoredRecord],
        wall: int,
    ) -> int:
        """Return the time of a login into `vault`, later than that of every record it must outlive.

        Two logins may fall into one second, and a wall clock may be set back; but the order must be
        right when both vaults are open again.
        """
        tombstones = self._tombstones[vault.provider]
        moments = [wall, tombstones.earliest_login(service, username, limits)]
        moments += [
            other.latest_time + (other.state != "open") for other in self._vaults.each.values()
        ]
        moments += [each.record.created + 1 for each in older if each.vault is not vault]
        return max(moments)

    async def settle_opened(self, vault: Vault) -> None:
        """Remove outdated records of both vaults, after `vault` was opened and before it answers.

        `changing` must be held, and nothing awaited since the vault was opened.
        """
        vaults = self._vaults

        def entry_in(holder: Vault) -> Callable[[Record], Entry]:
            return lambda record: vaults.entry(StoredRecord(record, holder))

        buried = self._tombstones[vault.provider].matching(
            vault.records.values(), lambda record: entry_in(vault)(record).limits
        )
        vaults.hide(vault, buried)
        others = [each for each in vaults.each.values() if each is not vault]
        for other in others:
            shared = {key[:2] for key in vault.records} & {key[:2] for key in other.records}
            ours, theirs = (
                [
                    entry_in(each)(record)
                    for key, record in each.records.items()
                    if key[:2] in shared
                ]
                for each in (vault, other)
            )
            for one, two in product(ours, theirs):
                account = one.found.record.key[:2]
                if account != two.found.record.key[:2] or one.limits != two.limits:
                    continue
                # Of two records of the same second, the one in the vault that was open is later: it
                # could not be stored in the other vault while that was closed.
                late = one.found.record.created > two.found.record.created
                holder, record = (other, two.found.record) if late else (vault, one.found.record)
                vaults.hide(holder, [record])
        for each in (vault, *others):
            await self._settle(each)

    async def _remove_hidden(self, vault: Vault) -> None:
        """Remove hidden records from the disk; if that fails, the next save does it."""
        with contextlib.suppress(Failure):
            await self._vaults.save(vault, dict, self._vaults.clock.wall())

    async def _remove(self, vault: Vault, records: list[Record]) -> None:
        """Remove these records, but not a later record in place of one."""
        gone = {record.key: record.created for record in records}
        wall = self._vaults.clock.wall()

        def change(held: dict[Key, Record]) -> dict[Key, Record]:
            left = {k: each for k, each in held.items() if each.created > gone.get(k, -1)}
            return _without_needless_projects(left, {key[:2] for key in gone})

        await self._vaults.save(vault, change, wall)

    def _remove_expired(self, vault: Vault, records: list[Record]) -> None:
        """Note which records have expired; remove them when no other change is under way."""
        with contextlib.suppress(OSError):  # then only this agent knows it
            entries = [
                (each, self._vaults.entry(StoredRecord(each, vault)).limits) for each in records
            ]
            self._tombstones[vault.provider].add(entries)
        task = asyncio.get_running_loop().create_task(self._sweep(vault))
        self._sweeps.add(task)
        task.add_done_callback(self._sweeps.discard)

    async def _sweep(self, vault: Vault) -> None:
        async with self._vaults.changing:
            if vault.state == "open":
                await self._settle(vault)

    async def _settle(self, vault: Vault) -> None:
        """Remove the hidden records of an open vault; then no tombstones are needed."""
        if self._vaults.has_hidden(vault):
            await self._remove_hidden(vault)
        if vault.state == "open" and not self._vaults.has_hidden(vault):
            self._tombstones[vault.provider].clear()

    def require_open(self, provider: str) -> None:
        """Raise Failure, `no-vault` or `locked`, if a provider's vault cannot store anything."""
        vault = self._vaults.each[VAULT_OF[provider]]
        if vault.state == "absent":
            raise Failure(
                "no-vault", f"There is no {vault_name(provider)} yet.", provider=vault.provider
            )
        if vault.state != "open":
            raise self._vaults.not_found_error(None, provider)


def _check_lifetime(seconds: int) -> None:
    if not 1 <= seconds <= LONGEST:
        raise Failure(
            "bad-request", "A lifetime must be at least a second and at most a hundred years."
        )


def _projects_of_new(here: list[Entry], limits: Limits) -> tuple[str, ...]:
    """Return by which projects a new record of these limits is told apart from those of its account.

    `here` are those of its vault. It takes the place of the one with the same limits.
    """
    for each in here:
        if each.limits == limits:
            return each.found.record.projects
    if any(not each.found.record.projects for each in here):
        return limits or ()
    return ()


def _tell_apart(here: list[Entry], limits: Limits) -> dict[Key, tuple[str, ...]]:
    """Return which record makes place for an account-wide one, and by which projects it does."""
    if limits is not None or any(each.limits is None for each in here):
        return {}
    return {
        each.found.record.key: each.limits or () for each in here if not each.found.record.projects
    }


def _renamed(held: dict[Key, Record], projects: dict[Key, tuple[str, ...]]) -> dict[Key, Record]:
    """Return records, some of them told apart by other projects."""
    if not projects:
        return held
    changed = (
        each._replace(projects=projects.get(key, each.projects)) for key, each in held.items()
    )
    return {each.key: each for each in changed}


def _without_needless_projects(
    held: dict[Key, Record], accounts: set[tuple[str, ...]]
) -> dict[Key, Record]:
    """Return records; one that is now the only one of its account is told apart by nothing.

    So a vault goes back to a version that older agents read.
    """
    left = [key for key in held if key[:2] in accounts]
    alone: dict[Key, tuple[str, ...]]
    alone = {key: () for key in left if sum(key[:2] == other[:2] for other in left) == 1}
    return _renamed(held, alone)
