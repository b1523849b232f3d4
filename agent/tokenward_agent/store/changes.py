"""Logins and logouts: the changes of the vaults, one at a time.

A change is acknowledged when it is on the disk. After any failure the newer credential is there: it
is stored in its own vault first, and then the older one of the same service and user name is
removed from the other vault, at once or when that opens.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from tokenward_agent.failure import Failure
from tokenward_agent.store.closed_vaults import Tombstones, origin
from tokenward_agent.store.lookup import choose
from tokenward_agent.store.vaults import VAULT_OF, Vaults
from tokenward_agent.vault.record import LONGEST, AdoptedSource, Lifetime, Record

if TYPE_CHECKING:
    from tokenward_agent.store.lookup import StoredRecord
    from tokenward_agent.vault.record import Key
    from tokenward_agent.vault.vault import Vault


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
        adopt: str | None = None,
        never_shown: bool = False,
        relay_alone: bool = False,
    ) -> Record | None:
        """Store a credential in the open vault of `provider`; return the one that it replaced.

        Raise Failure: `no-vault` or `locked` if the vault is not open, `bad-request`, `read-only`,
        `vault`.
        """
        if lifetime is not None:
            _check_lifetime(lifetime)
        vaults = self._vaults
        vault = vaults.each[VAULT_OF[provider]]
        async with vaults.changing:
            self.require_open(provider)
            now = vaults.now()
            older = [
                each for each in vaults.at(service, None) if each.record.key == (service, username)
            ]
            record = Record(
                service,
                username,
                self._login_time(vault, (service, username), now.wall),
                None,
                None if lifetime is None else Lifetime.beginning(now, lifetime),
                None if adopt is None else AdoptedSource(provider, adopt),
                None if adopt is not None else vault.seal(service, username, secret),
                never_shown,
                relay_alone,
            )
            await vaults.save(vault, lambda held: {**held, record.key: record}, record.created)
            for other in vaults.each.values():
                if other is not vault and record.key in other.records:
                    vaults.hide(other, [other.records[record.key]])
                    await self._remove_hidden(other)
            vaults.drop_from_memory(found.record for found in older if found.vault is vaults.memory)
            vaults.when_changed()
        return max((each.record for each in older), key=lambda each: each.created, default=None)

    def keep_in_memory(
        self, service: str, username: str, secret: memoryview, lifetime: int
    ) -> Record | None:
        """Keep a credential in memory only; return the one in memory that it replaced.

        Raise Failure: `refused` if a vault has one of this service and user name, since that would
        be lost or would answer again later; `busy`, `bad-request`.
        """
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
        end = Lifetime.beginning(now, lifetime)
        sealed = vaults.memory.seal(service, username, secret)
        try:
            vaults.keep_in_memory(Record(service, username, now.wall, None, end, None, sealed))
        except ValueError as error:
            raise Failure("bad-request", f"The credential cannot be kept: {error}.") from None
        vaults.when_changed()
        return here[0].record if here else None

    async def logout(
        self, service: str | None, username: str | None, *, provider: str | None, every: bool
    ) -> list[StoredRecord]:
        """Remove credentials and return them.

        Raise Failure: `bad-request`, `not-found`, `locked`, `read-only`, `vault`. Raise Ambiguous.
        """
        if service is None and not every:
            raise Failure("bad-request", "A logout without a service needs `all`.")
        if username is not None and every:
            raise Failure("bad-request", "A logout cannot take both a user name and `all`.")
        vaults = self._vaults
        async with vaults.changing:
            if service is None:
                meant = vaults.all_records(provider)
            else:
                meant = self._select(vaults.at(service, provider), service, username, every=every)
            shut = vaults.not_open(provider)
            if not meant or (every and shut):
                raise vaults.not_found_error(
                    service, provider, () if service is None else (origin(service),)
                )
            for vault in vaults.each.values():
                records = [found.record for found in meant if found.vault is vault]
                if records:
                    self._add_tombstones(records)
                    await self._remove(vault, records)
            vaults.drop_from_memory(each.record for each in meant if each.vault is vaults.memory)
            vaults.when_changed()
        return meant

    def _add_tombstones(self, records: list[Record]) -> None:
        """Note these records, so that a closed vault does not answer later with older ones."""
        try:
            for vault in self._vaults.not_open(None):
                self._tombstones[vault.provider].add(records)
        except OSError as error:
            raise Failure(
                "vault",
                f"The agent's state folder cannot be written ({error.strerror}), and the closed"
                " vault may hold an older credential of the same account.",
                "`auth unlock`, then log out again",
            ) from None

    def _select(
        self, here: list[StoredRecord], service: str, username: str | None, *, every: bool
    ) -> list[StoredRecord]:
        """Return the entries of a service that a logout is about."""
        if every or not here:
            return here
        if username is None:
            accounts = {found.record.username: found.record for found in here}
            username = choose(service, list(accounts.values())).username
        return [found for found in here if found.record.username == username]

    def _login_time(self, vault: Vault, key: Key, wall: int) -> int:
        """Return the time of a login into `vault`, later than that of every record it must outlive.

        Two logins may fall into one second, and a wall clock may be set back; but the order must be
        right when both vaults are open again.
        """
        moments = [wall, self._tombstones[vault.provider].earliest_login(key)]
        for other in self._vaults.each.values():
            moments.append(other.latest_time if other.state == "open" else other.latest_time + 1)
            if other is not vault and key in other.records:
                moments.append(other.records[key].created + 1)
        return max(moments)

    async def settle_opened(self, vault: Vault) -> None:
        """Remove outdated records of both vaults, after `vault` was opened and before it answers.

        `changing` must be held, and nothing awaited since the vault was opened.
        """
        buried = self._tombstones[vault.provider].matching(vault.records.values())
        self._vaults.hide(vault, buried)
        others = [each for each in self._vaults.each.values() if each is not vault]
        for other in others:
            for key in vault.records.keys() & other.records.keys():
                # Of two records of the same second, the one in the vault that was open is later: it
                # could not be stored in the other vault while that was closed.
                late = vault.records[key].created > other.records[key].created
                stale = other if late else vault
                self._vaults.hide(stale, [stale.records[key]])
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
            return {k: each for k, each in held.items() if each.created > gone.get(k, -1)}

        await self._vaults.save(vault, change, wall)

    def _remove_expired(self, vault: Vault, records: list[Record]) -> None:
        """Note which records have expired; remove them when no other change is under way."""
        with contextlib.suppress(OSError):  # then only this agent knows it
            self._tombstones[vault.provider].add(records)
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
                "no-vault", f"There is no vault of `{provider}` yet.", provider=vault.provider
            )
        if vault.state != "open":
            raise self._vaults.not_found_error(None, provider)


def _check_lifetime(seconds: int) -> None:
    if not 1 <= seconds <= LONGEST:
        raise Failure(
            "bad-request", "A lifetime must be at least a second and at most a hundred years."
        )
