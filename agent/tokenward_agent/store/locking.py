"""Locking and unlocking: when the keys of the vaults are wiped, and what brings them back.

- `lock` wipes the keys of every vault and leaves a marker in the state folder, so the lock lasts
  over restart and reboot until `unlock`.
- Each wrong passphrase delays the next attempts by 0.1 s more, up to 10 s. No attempt waits for
  another's delay, and other requests are not delayed. The number of keys that are
  derived at a time is limited where workers are started.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tokenward_agent.failure import Failure
from tokenward_agent.store.slot_keys import ATTENDED_SECONDS, UNATTENDED_SECONDS
from tokenward_agent.vault.errors import WrongKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenward_agent.store.lock_marker import LockMarker
    from tokenward_agent.store.opening import Opening
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.vault.vault import Vault

PENALTY_SECONDS = 0.1
LONGEST_PENALTY_SECONDS = 10.0


class Locking:
    """Locks and unlocks the vaults of one agent."""

    def __init__(self, vaults: Vaults, opening: Opening, marker: LockMarker) -> None:
        self._vaults, self._opening, self._marker = vaults, opening, marker
        self._failures = 0

    @property
    def is_locked(self) -> bool:
        """Whether the agent is locked."""
        return self._marker.is_present

    async def unlock(
        self,
        provider: str | None,
        passphrase: memoryview | None,
        session: Mapping[str, str],
        *,
        attended: bool = False,
    ) -> list[Vault]:
        """End a lock: open the vaults that open without the user, and those of the passphrase.

        If `attended`, a keyring may take the time to prompt the user; the other vault does not wait
        for that. Return the vaults that are still not open. Raises Failure: `passphrase-needed` if
        nothing opened and a passphrase would help, `wrong-passphrase`, `provider`, `vault`.
        """
        closings = self._vaults.closings
        seconds = ATTENDED_SECONDS if attended else UNATTENDED_SECONDS
        self._opening.rescan(provider)
        wanted = [vault for vault in self._vaults.of(provider) if vault.state == "closed"]
        try:
            tries = (self._unlock(v, passphrase, session, closings, seconds) for v in wanted)
            for result in await asyncio.gather(*tries, return_exceptions=True):
                if result is not None:
                    raise result
        finally:
            if closings == self._vaults.closings:
                self._remove_marker(provider)
        nothing_opened = all(vault.state != "open" for vault in wanted)
        asks = any(self._opening.opening_needs(vault) == "passphrase" for vault in wanted)
        if asks and nothing_opened and not passphrase:
            raise Failure("passphrase-needed", "The vault needs its passphrase.", "`auth unlock`")
        return self._vaults.not_open(provider)

    async def _unlock(
        self,
        vault: Vault,
        passphrase: memoryview | None,
        session: Mapping[str, str],
        closings: int,
        seconds: float,
    ) -> None:
        opened = await self._opening.open_by_itself(vault, session, closings, seconds)
        if not opened and passphrase:
            await self._try_passphrase(vault, passphrase, closings)

    async def _try_passphrase(self, vault: Vault, passphrase: memoryview, closings: int) -> None:
        slot = vault.header.slot("passphrase") if vault.header is not None else None
        if slot is None:
            return
        await asyncio.sleep(min(self._failures * PENALTY_SECONDS, LONGEST_PENALTY_SECONDS))
        try:
            await self._opening.open(vault, slot, {}, passphrase, closings)
        except WrongKey:
            self._failures += 1
            raise Failure(
                "wrong-passphrase", "The passphrase does not open the vault.", "`auth unlock`"
            ) from None
        self._failures = 0

    def _remove_marker(self, provider: str | None) -> None:
        """End the lock if a vault of the request is open or no vault is left to open."""
        if self._opening.other_agents.obey_lock():  # another agent has locked meanwhile
            return
        vaults = self._vaults.of(provider)
        if any(each.state == "open" for each in vaults) or not self._vaults.not_open(None):
            self._marker.remove()
            self._vaults.when_changed()

    async def lock(self) -> list[Vault]:
        """Wipe the keys of every vault until `unlock`; return the vaults that exist."""
        self.close()
        try:
            self._marker.create()
        finally:  # locked now, even if the marker failed
            self._vaults.when_changed()
        return [vault for vault in self._vaults.each.values() if vault.state != "absent"]

    def close(self) -> None:
        """Wipe every vault's keys and what is in memory; the next request opens what it can."""
        self._vaults.forget_memory()
        for vault in self._vaults.each.values():
            self._vaults.close(vault)
