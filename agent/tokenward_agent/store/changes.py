"""Logins and logouts: what changes the vaults, one change at a time.

A change is acknowledged after it is on the disk. The order is chosen so that whatever fails in
between, the newer credential is there: it is stored in its own vault first, and then the older one
of the same service and user name leaves the other vault, at once or when that opens.
"""

from __future__ import annotations

import asyncio
import contextlib

from tokenward_agent.failure import Failure
from tokenward_agent.store.lookup import choose
from tokenward_agent.store.stored_origins import origin
from tokenward_agent.store.tombstones import Tombstones
from tokenward_agent.store.vaults import VAULT_OF, Vaults
from tokenward_agent.vault.lifetime import LONGEST, Lifetime
from tokenward_agent.vault.record import Adopted, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward_agent.store.found import Found
    from tokenward_agent.vault.record import Key
    from tokenward_agent.vault.vault import Vault


class Changes:
    """The changes of one agent's vaults."""

    def __init__(self, vaults: Vaults, state: str) -> None:
        self._vaults = vaults
        self._tombstones = {each: Tombstones(state, each) for each in vaults.each}
        self._sweeps: set[asyncio.Task[None]] = set()
        vaults.when_over = self._over

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
    ) -> Record | None:
        """Store a credential in the open vault of `provider`; return the one that it replaced.

        Raises Failure: `no-vault` or `locked` where the vault is not open, `bad-request`,
        `read-only`, `vault`.
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
                self._later_than_all(vault, (service, username), now.wall),
                None,
                None if lifetime is None else Lifetime.beginning(now, lifetime),
                None if adopt is None else Adopted(provider, adopt),
                None if adopt is not None else vault.seal(service, username, secret),
                never_shown,
            )
            await vaults.save(vault, lambda held: {**held, record.key: record}, record.created)
            for other in vaults.each.values():
                if other is not vault and record.key in other.records:
                    vaults.hide(other, [other.records[record.key]])
                    await self._clear(other)
            vaults.drop_from_memory(found.record for found in older if found.vault is vaults.memory)
            vaults.when_changed()
        return max((each.record for each in older), key=lambda each: each.created, default=None)

    def keep_in_memory(
        self, service: str, username: str, secret: memoryview, lifetime: int
    ) -> Record | None:
        """Keep a credential in memory alone; return the one such whose place it took.

        Raises Failure: `refused` where a vault has one of this service and user name, which would
        be lost or would answer again later; `bad-request`.
        """
        _check_lifetime(lifetime)
        vaults = self._vaults
        here = [each for each in vaults.at(service, None) if each.record.username == username]
        if any(found.vault is not vaults.memory for found in here):
            raise Failure(
                "refused",
                f"A credential of {username} for {service} is stored already, and one that is kept"
                " in memory alone does not take its place.",
                "`auth logout` removes the stored one",
            )
        if not vaults.memory.has_room((service, username), len(secret)):
            raise Failure(
                "busy",
                "As many credentials as may be are kept in memory alone.",
                "`auth logout` removes those that are over with, and `auth lock` all of them",
            )
        now = vaults.now()
        end = Lifetime.beginning(now, lifetime)
        sealed = vaults.memory.seal(service, username, secret)
        try:
            vaults.keep_in_memory(Record(service, username, now.wall, None, end, None, sealed))
        except ValueError as error:
            raise Failure("bad-request", f"This cannot be kept: {error}.") from None
        vaults.when_changed()
        return here[0].record if here else None

    async def logout(
        self, service: str | None, username: str | None, *, provider: str | None, every: bool
    ) -> list[Found]:
        """Remove credentials and return what was removed.

        Raises Failure: `not-found`, `locked`, `read-only`, `vault`; and Ambiguous.
        """
        if service is None and not every:
            raise Failure("bad-request", "A logout without a service needs `all`.")
        if username is not None and every:
            raise Failure("bad-request", "A logout takes a user name or `all`, not both.")
        vaults = self._vaults
        async with vaults.changing:
            if service is None:
                meant = vaults.all_records(provider)
            else:
                meant = self._meant(vaults.at(service, provider), service, username, every=every)
            shut = vaults.not_open(provider)
            if not meant or (every and shut):
                raise vaults.miss(service, provider, () if service is None else (origin(service),))
            for vault in vaults.each.values():
                records = [found.record for found in meant if found.vault is vault]
                if records:
                    self._bury(records)
                    await self._remove(vault, records)
            vaults.drop_from_memory(each.record for each in meant if each.vault is vaults.memory)
            vaults.when_changed()
        return meant

    def _bury(self, records: list[Record]) -> None:
        """Keep a closed vault from answering later with what these had replaced."""
        try:
            for vault in self._vaults.not_open(None):
                self._tombstones[vault.provider].bury(records)
        except OSError as error:
            raise Failure(
                "vault",
                f"The agent's state folder cannot be written ({error.strerror}), and the closed"
                " vault may hold an older credential of the same account.",
                "`auth unlock`, then log out again",
            ) from None

    def _meant(
        self, here: list[Found], service: str, username: str | None, *, every: bool
    ) -> list[Found]:
        """Return which of the entries of a service a logout is about."""
        if every or not here:
            return here
        if username is None:
            accounts = {found.record.username: found.record for found in here}
            username = choose(service, list(accounts.values())).username
        return [found for found in here if found.record.username == username]

    def _later_than_all(self, vault: Vault, key: Key, wall: int) -> int:
        """Return when a login into `vault` happens, later than any that it may have to outlive.

        In whole seconds two logins may fall together, and a wall clock may be set back; the order
        must still show when both vaults are open again.
        """
        moments = [wall, self._tombstones[vault.provider].after(key)]
        for other in self._vaults.each.values():
            moments.append(other.seen if other.state == "open" else other.seen + 1)
            if other is not vault and key in other.records:
                moments.append(other.records[key].created + 1)
        return max(moments)

    async def opened(self, vault: Vault) -> None:
        """Settle what both vaults hold, after `vault` was opened and before it answers.

        `changing` must be held, and nothing awaited since the vault was opened.
        """
        buried = self._tombstones[vault.provider].cover(vault.records.values())
        self._vaults.hide(vault, buried)
        others = [each for each in self._vaults.each.values() if each is not vault]
        for other in others:
            for key in vault.records.keys() & other.records.keys():
                # Of two of the same second, the one in the vault that was open is the later: it
                # could not have been stored in the other one while that was closed.
                late = vault.records[key].created > other.records[key].created
                stale = other if late else vault
                self._vaults.hide(stale, [stale.records[key]])
        for each in (vault, *others):
            await self._settle(each)

    async def _clear(self, vault: Vault) -> None:
        """Remove what is hidden from the disk; where that refuses, the next save does it."""
        with contextlib.suppress(Failure):
            await self._vaults.save(vault, dict, self._vaults.clock.wall())

    async def _remove(self, vault: Vault, records: list[Record]) -> None:
        """Remove these records, but not a later one that took the place of one of them."""
        gone = {record.key: record.created for record in records}
        wall = self._vaults.clock.wall()

        def change(held: dict[Key, Record]) -> dict[Key, Record]:
            return {k: each for k, each in held.items() if each.created > gone.get(k, -1)}

        await self._vaults.save(vault, change, wall)

    def _over(self, vault: Vault, records: list[Record]) -> None:
        """Note what is over, now; remove it as soon as no other change is under way."""
        with contextlib.suppress(OSError):  # then it is known until this agent ends
            self._tombstones[vault.provider].bury(records)
        task = asyncio.get_running_loop().create_task(self._sweep(vault))
        self._sweeps.add(task)
        task.add_done_callback(self._sweeps.discard)

    async def _sweep(self, vault: Vault) -> None:
        async with self._vaults.changing:
            if vault.state == "open":
                await self._settle(vault)

    async def _settle(self, vault: Vault) -> None:
        """Have an open vault hold nothing that answers nothing; then nothing needs to be noted."""
        if self._vaults.has_hidden(vault):
            await self._clear(vault)
        if vault.state == "open" and not self._vaults.has_hidden(vault):
            self._tombstones[vault.provider].clear()

    def require_open(self, provider: str) -> None:
        """Raise Failure, `no-vault` or `locked`, if nothing can be stored in a provider's vault."""
        vault = self._vaults.each[VAULT_OF[provider]]
        if vault.state == "absent":
            raise Failure(
                "no-vault", f"There is no vault of `{provider}` yet.", provider=vault.provider
            )
        if vault.state != "open":
            raise self._vaults.miss(None, provider)


def _check_lifetime(seconds: int) -> None:
    if not 1 <= seconds <= LONGEST:
        raise Failure("bad-request", "A lifetime lasts from one second to a hundred years.")
