"""Get the key of each slot: from a file, DPAPI, a keyring, a program or a passphrase.

The names of keyring items are computed here, whatever a vault says: its header is not trusted
before the vault is open. The program is the one that the user chose (keyring_program.py).

A key is fetched into a block of the arena, which the caller gives back; it is never an object in
this process. Keyrings, programs and the derivation of a key from a passphrase run in a worker with
a deadline, so none of them delays anything else.

A passphrase comes from the user, with the request, or from the service manager (key_files.py).
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from tokenward_agent.failure import Failure
from tokenward_agent.store.key_files import KeyFiles
from tokenward_agent.vault.sealing import KEY_SIZE, fill_random
from tokenward_agent.vault.slot import Slot
from tokenward_agent.worker.runner import WorkerError, run_job
from tokenward_protocol.passphrases import ARGON2ID, SALT_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tokenward_agent.arena import Arena
    from tokenward_agent.store.key_files import ServiceCredential
    from tokenward_agent.store.keyring_program import KeyringProgram
    from tokenward_agent.vault.slot import Param

_IN_FILES = ("key-file", "dpapi")
IN_KEYRINGS = ("keyring", "program")
"""The kinds of slots whose keys are in a keyring."""

ITEM = "tokenward"
"""The service of tokenward's items in a system keyring; the user name is the vault's id."""

UNATTENDED_SECONDS = 3.0  # for a keyring without a user at the screen
ATTENDED_SECONDS = 60.0  # for a keyring that may prompt the user itself
ARGON2ID_SECONDS = 30.0  # for deriving a key from a passphrase, on a slow machine under load


def item_names(kind: str, vault_id: str) -> dict[str, str]:
    """Return the names under which a keyring or a program keeps the key of a vault."""
    # Two different names, since the program may use the same keyring.
    return {"service": ITEM, "username": f"{vault_id}-program" if kind == "program" else vault_id}


class SlotKeys:
    """Gets, makes and removes the keys of slots."""

    def __init__(
        self, state: str, arena: Arena, credential: ServiceCredential, program: KeyringProgram
    ) -> None:
        self._files = KeyFiles(state)
        self._arena, self.credential, self._program = arena, credential, program

    @contextlib.contextmanager
    def borrow(self, key: memoryview) -> Iterator[memoryview]:
        """Wipe a key and give it back after use."""
        try:
            yield key
        finally:
            self._arena.release(key)

    async def get(
        self,
        slot: Slot,
        vault_id: str,
        session: Mapping[str, str],
        passphrase: memoryview | None = None,
        seconds: float = UNATTENDED_SECONDS,
    ) -> memoryview:
        """Return a block with the key of `slot`. Raises Failure: `passphrase-needed`, `provider`."""
        if slot.kind == "passphrase" and passphrase is None and not self.credential.is_present:
            raise Failure("passphrase-needed", "The vault needs its passphrase.", "`auth unlock`")
        key = self._arena.allocate(KEY_SIZE)
        try:
            if slot.kind in _IN_FILES:
                self._files.read(slot.kind, vault_id, key)
            elif slot.kind == "passphrase" and passphrase is not None:
                await self._stretch(slot.params, passphrase, key)
            elif slot.kind == "passphrase":
                with self.credential.borrow() as handed:
                    await self._stretch(slot.params, handed, key)
            else:
                self._require_ours(slot, vault_id)
                await self._ask_keyring("get", slot.kind, vault_id, session, key, seconds)
        except BaseException:
            self._arena.release(key)
            raise
        return key

    async def make(
        self,
        kind: str,
        vault_id: str,
        session: Mapping[str, str],
        passphrase: memoryview | None = None,
        program: str | None = None,
    ) -> tuple[dict[str, Param], memoryview]:
        """Make and store the key of a new slot; return parameters and key. Raises as `get`."""
        params: dict[str, Param] = {}
        if kind == "passphrase":
            if not passphrase:
                raise Failure("passphrase-needed", "The vault needs a new passphrase.")
            params = {"salt": os.urandom(SALT_SIZE), **ARGON2ID}
        elif kind == "program":
            params = {"program": self._program.choose(program, None), **item_names(kind, vault_id)}
        elif kind == "keyring":
            params = {**item_names(kind, vault_id)}
        key = self._arena.allocate(KEY_SIZE)
        try:
            if kind == "passphrase" and passphrase is not None:
                await self._stretch(params, passphrase, key)
                return params, key
            fill_random(key)
            if kind in _IN_FILES:
                self._files.write(kind, vault_id, key)
            else:
                await self._ask_keyring("set", kind, vault_id, session, key, ATTENDED_SECONDS)
                slot = Slot(kind, params, b"")
                kept = await self.get(slot, vault_id, session, seconds=ATTENDED_SECONDS)
                with self.borrow(kept) as check:
                    if check != key:
                        raise Failure("provider", "The keyring did not keep the key.")
        except BaseException:
            self._arena.release(key)
            raise
        return params, key

    async def forget(self, slot: Slot, vault_id: str, session: Mapping[str, str]) -> None:
        """Remove the key of a removed slot; if that fails, the key opens nothing anyway."""
        if slot.kind in _IN_FILES:
            self._files.remove(slot.kind, vault_id)
        elif slot.kind in IN_KEYRINGS:
            with contextlib.suppress(Failure):
                await self.remove_item(slot, vault_id, session)

    async def remove_item(
        self,
        slot: Slot,
        vault_id: str,
        session: Mapping[str, str],
        seconds: float = UNATTENDED_SECONDS,
    ) -> None:
        """Remove the key of a slot from the keyring that has it. Raises Failure, `provider`."""
        self._require_ours(slot, vault_id)
        await self._ask_keyring("delete", slot.kind, vault_id, session, None, seconds)

    def _require_ours(self, slot: Slot, vault_id: str) -> None:
        """Raise Failure unless a slot has the values that this agent gives to slots."""
        if any(slot.params[key] != value for key, value in item_names(slot.kind, vault_id).items()):
            raise Failure(
                "provider",
                "The vault names a keyring item that is not one of tokenward's.",
                "replace the vault with a backup, or move it away and log in again",
            )
        if slot.kind == "program":
            self._program.require_trusted(slot.params["program"])

    async def _stretch(
        self, params: Mapping[str, Param], passphrase: memoryview, key: memoryview
    ) -> None:
        header = {name: params[name] for name in ("salt", "memory", "passes", "lanes")}
        try:
            await run_job(self._arena, "argon2id", header, passphrase, key, ARGON2ID_SECONDS, {})
        except WorkerError as error:
            raise Failure("provider", str(error), error.hint) from None

    async def _ask_keyring(
        self,
        doing: str,
        kind: str,
        vault_id: str,
        session: Mapping[str, str],
        key: memoryview | None,
        seconds: float,
    ) -> None:
        secret, into = (key, None) if doing == "set" else (None, key)
        header = item_names(kind, vault_id)
        try:
            if kind == "program":
                await self._program.run(doing, header, secret, into, seconds, session)
            else:
                job = f"keyring-{doing}"
                await run_job(self._arena, job, header, secret, into, seconds, session)
        except WorkerError as error:
            if (doing, error.code) == ("delete", "not-found"):
                return
            raise Failure("provider", str(error), error.hint) from None
