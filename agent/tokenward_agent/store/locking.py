"""Locking and unlocking: when the keys of the vaults are destroyed, and what brings them back.

- `lock` destroys the keys of every vault and leaves a marker in the state folder, so that it holds
  over restart and reboot until `unlock`.
- A wrong passphrase makes the next try wait, 0.1 s for each failure, 10 s at most. No try waits for
  another one's penalty, and nothing else waits for any; what keys are derived at once is bounded
  where workers are started.
"""

from __future__ import annotations

import asyncio

from tokenward_agent.failure import Failure
from tokenward_agent.store.slot_keys import ATTENDED_SECONDS, UNATTENDED_SECONDS
from tokenward_agent.vault.errors import WrongKey

TYPE_CHECKING = False
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
        self._vaults = vaults
        self._opening = opening
        self._marker = marker
        self._failures = 0

    @property
    def locked(self) -> bool:
        """Whether `lock` was the last word."""
        return self._marker.there

    async def unlock(
        self,
        provider: str | None,
        passphrase: memoryview | None,
        session: Mapping[str, str],
        *,
        attended: bool = False,
    ) -> list[Vault]:
        """End a lock: open what needs nobody, and with a passphrase what that opens.

        Where it is `attended` a keyring may take the time to put a question to a person; the other
        vault does not wait for that. Returns the vaults that are still not open. Raises Failure:
        `passphrase-needed` if nothing could be opened and one would help, `wrong-passphrase`,
        `provider`, `vault`.
        """
        closings = self._vaults.closings
        seconds = ATTENDED_SECONDS if attended else UNATTENDED_SECONDS
        self._opening.look_again(provider)
        wanted = [vault for vault in self._vaults.of(provider) if vault.state == "closed"]
        try:
            tries = (self._unlock(v, passphrase, session, closings, seconds) for v in wanted)
            for result in await asyncio.gather(*tries, return_exceptions=True):
                if result is not None:
                    raise result
        finally:
            if closings == self._vaults.closings:
                self._unmark(provider)
        nothing_opened = all(vault.state != "open" for vault in wanted)
        asks = any(self._opening.needs(vault) == "passphrase" for vault in wanted)
        if asks and nothing_opened and not passphrase:
            raise Failure(
                "passphrase-needed", "The vault opens with a passphrase.", "`auth unlock`"
            )
        return self._vaults.not_open(provider)

    async def _unlock(
        self,
        vault: Vault,
        passphrase: memoryview | None,
        session: Mapping[str, str],
        closings: int,
        seconds: float,
    ) -> None:
        opened = await self._opening.by_itself(vault, session, closings, seconds)
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

    def _unmark(self, provider: str | None) -> None:
        """End the lock, once something was opened or there is nothing to open."""
        if self._opening.elsewhere.obey():  # another agent has locked meanwhile
            return
        vaults = self._vaults.of(provider)
        if any(each.state == "open" for each in vaults) or not self._vaults.not_open(None):
            self._marker.remove()
            self._vaults.when_changed()

    async def lock(self) -> list[Vault]:
        """Destroy the keys of every vault, now and until `unlock`; return those that are there."""
        self.close()
        try:
            self._marker.leave()
        finally:  # it is locked, though it may not last
            self._vaults.when_changed()
        return [vault for vault in self._vaults.each.values() if vault.state != "absent"]

    def close(self) -> None:
        """Destroy the keys of every vault; the next request opens what needs nobody.

        What is in memory alone is gone for good.
        """
        self._vaults.forget_memory()
        for vault in self._vaults.each.values():
            self._vaults.closed(vault)
