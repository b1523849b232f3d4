"""Restore the previous generation of a vault, after damage and not as an undo.

A vault that can be read is kept unless the user insists. The replaced file stays beside it. Nothing
that was logged out or had its key changed comes back: such a save keeps no previous generation
(storage.py). An open vault still has the records of its damaged file in memory, and saves
them over the restored generation, so not even the last change is lost.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, NamedTuple

from tokenward_agent.failure import Failure
from tokenward_agent.store.vaults import VAULT_OF
from tokenward_agent.vault.errors import Damaged, VaultError
from tokenward_agent.vault.file import parse_head_of
from tokenward_agent.vault.format import FILE_BYTES

if TYPE_CHECKING:
    from tokenward_agent.store.opening import Opening
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.vault.format import Header
    from tokenward_agent.vault.vault import Vault


class Restoration(NamedTuple):
    """The restored header, the path of the replaced file, and whether that was damaged."""

    header: Header
    kept: str
    damaged: bool


async def restore_previous(
    vaults: Vaults, opening: Opening, provider: str, *, anyway: bool
) -> Restoration:
    """Replace a provider's vault with its previous generation.

    Raises Failure: `refused` if the vault can be read and `anyway` is false; `vault` if there is
    no previous generation; `read-only`, `busy`.
    """
    vault = vaults.each[VAULT_OF[provider]]
    wall = vaults.clock.wall()
    async with vaults.changing:
        try:
            restored = await asyncio.to_thread(_swap_generations, vault, wall, anyway=anyway)
        except VaultError as error:
            raise Failure(error.code, error.message, error.hint) from None
        if not (restored.damaged and await _save_over(vaults, vault, restored.header, wall)):
            vaults.close(vault)
            opening.rescan(provider)
    return restored


async def _save_over(vaults: Vaults, vault: Vault, restored: Header, wall: int) -> bool:
    """Save an open vault's records if it is newer than the restored one; else return False."""
    if vault.header is None or vault.header.generation <= restored.generation:
        return False
    held = {each.record.key: each.record for each in vaults.all_records(vault.provider)}
    try:
        await vaults.save(vault, lambda _before: dict(held), wall)
    except Failure:  # not open, or under another key by now
        return False
    return True


def _swap_generations(vault: Vault, wall: int, *, anyway: bool) -> Restoration:
    storage = vault.storage
    previous = f"{storage.path}.previous"
    with storage.lock() as writer:
        data = storage.read_previous(FILE_BYTES + 1)
        if data is None:
            raise VaultError(
                "vault",
                f"No previous generation of {storage.path} was kept.",
                "replace it with a backup, or move it away to start anew",
            )
        try:
            before = parse_head_of(data, previous, vault.provider).header
        except Damaged as error:
            raise VaultError("vault", error.message, "replace it with a backup") from None
        found = vault.read_header()
        damaged = isinstance(found, Damaged) or isinstance(vault.problem, Damaged)
        if not (anyway or damaged):
            if isinstance(found, VaultError):
                raise found
            now = "it" if found is None else f"it is generation {found.generation} and"
            raise VaultError(
                "refused",
                f"{storage.path} is not damaged: {now} holds everything that the previous"
                f" generation {before.generation} holds.",
                "`auth restore --previous --yes` restores it anyway",
            )
        moment = time.strftime("%Y-%m-%dT%H-%M-%SZ", time.gmtime(wall))
        kept = f"{storage.name}.damaged-{moment}"
        writer.restore(kept)
    path = os.path.join(storage.directory, kept)
    return Restoration(before, path if os.path.lexists(path) else "", damaged)
