"""Restoring: the generation before takes a vault's place, after damage and never as an undo.

A vault that can be read is left alone unless a person says so. What is in its place stays beside
it, and nothing that was logged out or had its key changed comes back: such a save keeps no older
generation (storage_writer.py). An open vault holds in memory what its damaged file held, and writes
that upon the generation that came back; so not even the last change is lost.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import NamedTuple

from tokenward_agent.failure import Failure
from tokenward_agent.store.vaults import VAULT_OF
from tokenward_agent.vault.errors import Damaged, VaultError
from tokenward_agent.vault.file import head_of
from tokenward_agent.vault.format import FILE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward_agent.store.opening import Opening
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.vault.format import Header
    from tokenward_agent.vault.vault import Vault


class Restored(NamedTuple):
    """What came back: its header, and the path of what was in its place, which was `damaged`."""

    header: Header
    kept: str
    damaged: bool


class Restoring:
    """Restores the vaults of one agent."""

    def __init__(self, vaults: Vaults, opening: Opening) -> None:
        self._vaults = vaults
        self._opening = opening

    async def previous(self, provider: str, *, anyway: bool) -> Restored:
        """Put the generation before in the place of a provider's vault.

        Raises Failure: `refused` where the vault can be read and it is not to be done `anyway`;
        `vault` where there is none before it; `read-only`, `busy`.
        """
        vault = self._vaults.each[VAULT_OF[provider]]
        wall = self._vaults.clock.wall()
        async with self._vaults.changing:
            try:
                restored = await asyncio.to_thread(_exchange, vault, wall, anyway=anyway)
            except VaultError as error:
                raise Failure(error.code, error.message, error.hint) from None
            if not (restored.damaged and await self._written_over(vault, restored.header, wall)):
                self._vaults.closed(vault)
                self._opening.look_again(provider)
        return restored

    async def _written_over(self, vault: Vault, restored: Header, wall: int) -> bool:
        """Save what an open vault holds, if it is newer than what came back; else False."""
        if vault.header is None or vault.header.generation <= restored.generation:
            return False
        held = {each.record.key: each.record for each in self._vaults.all_records(vault.provider)}
        try:
            await self._vaults.save(vault, lambda _before: dict(held), wall)
        except Failure:  # it is not open, or another agent has changed the key since
            return False
        return True


def _exchange(vault: Vault, wall: int, *, anyway: bool) -> Restored:
    storage = vault.storage
    previous = f"{storage.path}.previous"
    with storage.locked() as writer:
        data = storage.read_previous(FILE_BYTES + 1)
        if data is None:
            raise VaultError(
                "vault",
                f"No generation before {storage.path} was kept.",
                "put a backup in its place, or move it out of the way to start anew",
            )
        try:
            before = head_of(data, previous, vault.provider).header
        except Damaged as error:
            raise VaultError("vault", error.message, "put a backup in its place") from None
        found = vault.look()
        damaged = isinstance(found, Damaged) or isinstance(vault.problem, Damaged)
        if not (anyway or damaged):
            if isinstance(found, VaultError):
                raise found
            now = "it" if found is None else f"it is generation {found.generation} and"
            raise VaultError(
                "refused",
                f"{storage.path} is not damaged: {now} holds all that generation"
                f" {before.generation} before it holds.",
                "`auth restore --previous --yes` goes back all the same",
            )
        moment = time.strftime("%Y-%m-%dT%H-%M-%SZ", time.gmtime(wall))
        kept = f"{storage.name}.damaged-{moment}"
        writer.restore(kept)
    path = os.path.join(storage.directory, kept)
    return Restored(before, path if os.path.lexists(path) else "", damaged)
