"""New vaults and new ways to open them: `create`, `passphrase set` and `passphrase remove`.

The key of a slot is stored (in a file or a keyring) before the vault that needs it is written, and
removed after that vault is gone. So an interruption may leave a key too many, never one too few.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, NamedTuple

from tokenward_agent.failure import Failure
from tokenward_agent.store.key_files import BY_ITSELF
from tokenward_agent.store.lookup import locked_meanwhile_error
from tokenward_agent.store.slot_keys import ATTENDED_SECONDS, IN_KEYRINGS, item_names
from tokenward_agent.store.vaults import VAULT_OF
from tokenward_agent.vault.errors import WrongKey
from tokenward_agent.vault.format import Header, new_vault_id
from tokenward_agent.vault.record import SECRET_BYTES
from tokenward_agent.vault.sealing import KEY_SIZE
from tokenward_agent.vault.slot import Slot, unwrap_into
from tokenward_agent.vault.slot_changes import add_slot, rekey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenward_agent.arena import Arena
    from tokenward_agent.store.changes import Changes
    from tokenward_agent.store.slot_keys import SlotKeys
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.vault.vault import Vault

SLOTS_OF = {
    "keyring": ("keyring",),
    "subprocess": ("program",),
    "disabled": ("passphrase", BY_ITSELF),
}
"""The slots that a new vault may have, by the provider of the request."""


class RemovedItem(NamedTuple):
    """The key of a slot of this kind in a keyring: its user name there, and why it could not be removed."""

    kind: str
    name: str
    problem: str | None


class Creation:
    """Creates the vaults of one agent and changes what opens them."""

    def __init__(self, vaults: Vaults, changes: Changes, keys: SlotKeys, arena: Arena) -> None:
        self._vaults, self._changes, self._keys, self._arena = vaults, changes, keys, arena
        # One change of a vault's slots at a time, from making a key to forgetting another.
        self._one = {provider: asyncio.Lock() for provider in vaults.each}

    async def create(
        self,
        provider: str,
        kind: str,
        session: Mapping[str, str],
        passphrase: memoryview,
        program: str | None,
    ) -> None:
        """Create the vault of a provider with one slot, or add the slot to an open vault.

        Raises Failure: `bad-request`, `locked`, `provider`, `read-only`, `vault`.
        """
        if kind not in SLOTS_OF[provider]:
            raise Failure(
                "bad-request", f"The provider {provider} has no slots of the kind {kind}."
            )
        if bool(passphrase) != (kind == "passphrase"):
            raise Failure("bad-request", "Only a slot of the kind `passphrase` takes a passphrase.")
        async with self._one[VAULT_OF[provider]]:
            await self._create(provider, kind, session, passphrase, program)

    async def _create(
        self,
        provider: str,
        kind: str,
        session: Mapping[str, str],
        passphrase: memoryview,
        program: str | None,
    ) -> None:
        vault = self._vaults.each[VAULT_OF[provider]]
        if vault.state == "open" and provider == "disabled":
            await self._require_chosen(vault, kind, passphrase)
            return
        if vault.state == "open":
            if vault.header is None or vault.header.slot(kind) is None:
                await self._add(vault, kind, session, passphrase, program)
            return
        if vault.state != "absent":
            raise self._vaults.not_found_error(None, provider)
        vault_id, closings = new_vault_id(), self._vaults.closings
        params, key = await self._keys.make(kind, vault_id, session, passphrase, program)
        now = self._vaults.clock.wall()
        try:
            with self._keys.borrow(key):
                async with self._vaults.changing:
                    if closings != self._vaults.closings:
                        raise locked_meanwhile_error()
                    await self._vaults.change(
                        vault, lambda: vault.create(kind, params, key, now, vault_id)
                    )
                    await self._changes.settle_opened(vault)
        except Failure:
            await self._forget_unless_made(vault, Slot(kind, params, b""), vault_id, session)
            raise

    async def _require_chosen(self, vault: Vault, kind: str, passphrase: memoryview) -> None:
        """Raise Failure if another login has created the vault with another choice of slot.

        A key file in both, or the same passphrase, is the same choice.
        """
        slot = vault.header.slot(kind) if vault.header is not None else None
        if slot is not None and kind == BY_ITSELF:
            return
        if slot is not None:
            key = await self._keys.get(slot, _id(vault), {}, passphrase)
            with (
                self._keys.borrow(key),
                self._keys.borrow(self._arena.allocate(KEY_SIZE)) as scratch,
                contextlib.suppress(WrongKey),
            ):
                unwrap_into(slot, key, _id(vault), scratch)
                return
        raise Failure(
            "refused",
            "Another login has just created the file vault, and it does not open as this"
            " login chose.",
            "log in again: nothing was stored, and the vault opens as the other login chose",
        )

    async def _forget_unless_made(
        self, vault: Vault, slot: Slot, vault_id: str, session: Mapping[str, str]
    ) -> None:
        """Remove a stored key again if certainly no vault was made with it."""
        found = vault.read_header()
        if found is None or (isinstance(found, Header) and found.vault_id != vault_id):
            await self._keys.forget(slot, vault_id, session)

    async def _add(
        self,
        vault: Vault,
        kind: str,
        session: Mapping[str, str],
        passphrase: memoryview,
        program: str | None = None,
    ) -> None:
        vault_id = _id(vault)
        params, key = await self._keys.make(kind, vault_id, session, passphrase, program)
        now = self._vaults.clock.wall()
        with self._keys.borrow(key):
            async with self._vaults.changing:
                await self._vaults.change(vault, lambda: add_slot(vault, kind, params, key, now))

    async def remove_items(self, session: Mapping[str, str]) -> list[RemovedItem]:
        """Remove the keys of the vaults from the keyrings that have them: the vaults open no more."""
        removed = []
        for provider, vault in self._vaults.each.items():
            async with self._one[provider]:
                header = vault.read_header()
                if not isinstance(header, Header):
                    continue
                for slot in (each for each in header.slots if each.kind in IN_KEYRINGS):
                    problem = None
                    try:
                        await self._keys.remove_item(
                            slot, header.vault_id, session, ATTENDED_SECONDS
                        )
                    except Failure as failure:
                        problem = str(failure)
                    name = item_names(slot.kind, header.vault_id)["username"]
                    removed.append(RemovedItem(slot.kind, name, problem))
        return removed

    async def set_passphrase(
        self, passphrase: memoryview, session: Mapping[str, str], *, keep: bool
    ) -> Vault:
        """Have the `disabled` vault open with this passphrase, and if `keep` also as before.

        Without `keep` it gets a new data key, so no copy of an earlier file opens what is stored
        from now on. Return the vault. Raises Failure as `create`.
        """
        vault = self._vaults.each["disabled"]
        if not passphrase:
            raise Failure("passphrase-needed", "The new passphrase is empty.")
        async with self._one["disabled"]:
            if vault.state == "absent":
                await self._create("disabled", "passphrase", session, passphrase, None)
            elif vault.state != "open":
                raise self._vaults.not_found_error(None, "disabled")
            elif keep:
                await self._add(vault, "passphrase", session, passphrase)
            else:
                await self._replace(vault, "passphrase", session, passphrase)
        return vault

    async def remove_passphrase(self, session: Mapping[str, str]) -> Vault:
        """Replace the `disabled` vault's passphrase with a slot that opens by itself.

        Return the vault. Raises Failure: `refused` if it has no passphrase, else as `create`.
        """
        vault = self._vaults.each["disabled"]
        async with self._one["disabled"]:
            if vault.state != "open":
                raise self._vaults.not_found_error(None, "disabled")
            if vault.header is None or vault.header.slot("passphrase") is None:
                raise Failure(
                    "refused",
                    "The file vault has no passphrase.",
                    "`auth status` shows what opens it",
                )
            await self._replace(vault, BY_ITSELF, session, None)
        return vault

    async def _replace(
        self, vault: Vault, kind: str, session: Mapping[str, str], passphrase: memoryview | None
    ) -> None:
        """Give a vault a new data key, and one slot in place of all slots.

        A key file that already opens the vault is kept: if the vault could then not be written, a
        new key file in its place would open nothing.
        """
        vault_id = _id(vault)
        before = vault.header.slots if vault.header is not None else ()
        kept = next((slot for slot in before if slot.kind == kind == BY_ITSELF), None)
        if kept is not None:
            params, key = dict(kept.params), await self._keys.get(kept, vault_id, session)
        else:
            params, key = await self._keys.make(kind, vault_id, session, passphrase)
        now = self._vaults.clock.wall()
        with (
            self._keys.borrow(key),
            self._keys.borrow(self._arena.allocate(KEY_SIZE)) as data_key,
            self._keys.borrow(self._arena.allocate(SECRET_BYTES)) as scratch,
        ):
            async with self._vaults.changing:
                await self._vaults.change(
                    vault, lambda: rekey(vault, [(kind, params, key)], data_key, scratch, now)
                )
        for slot in before:
            if slot.kind != kind:
                await self._keys.forget(slot, vault_id, session)


def _id(vault: Vault) -> str:
    if vault.header is None:
        raise Failure("locked", "The vault is not open.", "`auth unlock`")
    return vault.header.vault_id
