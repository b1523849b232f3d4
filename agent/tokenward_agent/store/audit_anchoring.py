"""When vaults learn of the audit log: with each save, at a lock, at the end, else after a while.

Every save includes what is known of the log then (audit/log.py); this module makes saves for the
log alone. A vault that does not know the chain is saved `SOON_SECONDS` after a line was written,
unless another save comes first. A lock or a stop waits at most `SECONDS` for them. A vault that
cannot be written does not vouch for the log; verifying the log reports that.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tokenward_agent.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward_agent.audit.log import AuditLog
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.vault.vault import Vault

SECONDS = 1.0
"""Longest wait of a lock or a stop for a disk, so that a stuck disk keeps no key in memory."""

SOON_SECONDS = 5.0
"""Seconds from a line to the save that tells it to an open vault without the chain."""

RETRY_SECONDS = 300  # seconds from a failed save to the next one that only the log needs


class AuditAnchoring:
    """Has the vaults of one agent vouch for its log."""

    def __init__(self, vaults: Vaults, log: AuditLog) -> None:
        self._vaults = vaults
        self._log = log
        self._soon: asyncio.TimerHandle | None = None
        self._saving: set[asyncio.Task[None]] = set()
        self._failed: dict[str, int] = {}
        for vault in vaults.each.values():
            vault.make_anchors = log.make_anchors

    def note_line(self) -> None:
        """Note a new line; open vaults that do not know the chain are saved soon."""
        self._settle()
        if self._soon is None and any(map(self._needs_anchor, self._vaults.each.values())):
            self._soon = asyncio.get_running_loop().call_later(SOON_SECONDS, self._begin)

    def _begin(self) -> None:
        self._soon = None
        if any(map(self._needs_anchor, self._vaults.each.values())):
            self._save_for(self._needs_anchor)

    def _save_for(self, wanted: Callable[[Vault], bool]) -> asyncio.Task[None]:
        saving = asyncio.get_running_loop().create_task(self._save(wanted))
        self._saving.add(saving)
        saving.add_done_callback(self._saving.discard)
        return saving

    def _anchored_since(self, vault: Vault) -> int | None:
        """Return the line from which on a vault vouches for the log, None if it does not."""
        name = self._log.chain.name
        return next((each.first for each in reversed(vault.chains) if each.name == name), None)

    def _needs_anchor(self, vault: Vault) -> bool:
        if vault.state != "open" or self._anchored_since(vault) is not None:
            return False
        failed = self._failed.get(vault.provider)
        return failed is None or self._vaults.clock.boot() - failed >= RETRY_SECONDS

    def _is_behind(self, vault: Vault) -> bool:
        chain = self._log.chain
        known = next((each.lines for each in vault.chains if each.name == chain.name), 0)
        return vault.state == "open" and known < chain.lines

    async def anchor_now(self) -> None:
        """Have every open vault know the last line, unless that takes too long."""
        if any(map(self._is_behind, self._vaults.each.values())):
            await asyncio.wait({self._save_for(self._is_behind)}, timeout=SECONDS)

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
        """Forget the first key of the chain once a vault has it."""
        chain = self._log.chain
        if chain.has_first and any(
            self._anchored_since(v) == 0 for v in self._vaults.each.values()
        ):
            chain.wipe_first_key()
