"""When vaults learn of the audit log: with each save, at a lock, at the end, else after a while.

A save of any kind takes along what is known of the log then (audit/log.py); here are the saves that
are made for the log alone. A vault that knows nothing of the chain gets one `SOON_SECONDS` after a
line was written, unless another save comes first. None of them holds anybody up for longer than `SECONDS`, and a vault
that cannot be written does not vouch for the log, which the log's check tells.
"""

from __future__ import annotations

import asyncio

from tokenward_agent.failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward_agent.audit.log import AuditLog
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.vault.vault import Vault

SECONDS = 1.0
"""How long a lock or a stop waits for a disk, so that a stuck one keeps no key in memory."""

SOON_SECONDS = 5.0
"""From a line of which an open vault does not know the chain to the save that tells it."""

RETRY_SECONDS = 300
"""From a save that failed to the next try to make one for the log alone."""


class Anchoring:
    """Has the vaults of one agent vouch for its log."""

    def __init__(self, vaults: Vaults, log: AuditLog) -> None:
        self._vaults = vaults
        self._log = log
        self._soon: asyncio.TimerHandle | None = None
        self._saving: set[asyncio.Task[None]] = set()
        self._failed: dict[str, int] = {}
        for vault in vaults.each.values():
            vault.vouch = log.vouch

    def wrote(self) -> None:
        """Note that there is a new line: have open vaults that know nothing of the log learn of it."""
        self._settle()
        if self._soon is None and any(map(self._wants, self._vaults.each.values())):
            self._soon = asyncio.get_running_loop().call_later(SOON_SECONDS, self._begin)

    def _begin(self) -> None:
        self._soon = None
        if any(map(self._wants, self._vaults.each.values())):
            self._save_for(self._wants)

    def _save_for(self, wanted: Callable[[Vault], bool]) -> asyncio.Task[None]:
        saving = asyncio.get_running_loop().create_task(self._save(wanted))
        self._saving.add(saving)
        saving.add_done_callback(self._saving.discard)
        return saving

    def _known(self, vault: Vault) -> int | None:
        """Return from which line on a vault vouches for the log, None if it does not."""
        name = self._log.chain.name
        return next((each.first for each in reversed(vault.chains) if each.name == name), None)

    def _wants(self, vault: Vault) -> bool:
        if vault.state != "open" or self._known(vault) is not None:
            return False
        failed = self._failed.get(vault.provider)
        return failed is None or self._vaults.clock.boot() - failed >= RETRY_SECONDS

    def _lags(self, vault: Vault) -> bool:
        chain = self._log.chain
        known = next((each.lines for each in vault.chains if each.name == chain.name), 0)
        return vault.state == "open" and known < chain.lines

    async def now(self) -> None:
        """Have every open vault know of the last line, as far as that can be done in time."""
        if any(map(self._lags, self._vaults.each.values())):
            await asyncio.wait({self._save_for(self._lags)}, timeout=SECONDS)

    async def _save(self, wanted: Callable[[Vault], bool]) -> None:
        for vault in self._vaults.each.values():
            async with self._vaults.changing:
                if not wanted(vault):
                    continue
                try:
                    await self._vaults.save(vault, dict, self._vaults.clock.wall())
                except Failure:
                    self._failed[vault.provider] = self._vaults.clock.boot()
        self._settle()

    def _settle(self) -> None:
        """Let go of the first key of the chain once a vault has it."""
        chain = self._log.chain
        if chain.has_first and any(self._known(v) == 0 for v in self._vaults.each.values()):
            chain.forget_first()
