"""Where the key of each slot comes from: a file, DPAPI, a keyring, a program, a passphrase.

A key is fetched into a block of the locked arena, which whoever asked gives back; it is never an
object in this process. Keyrings, programs and the stretching of a passphrase run in a worker with
a deadline, so that none of them can hold up anything else.

A passphrase may come from a person, with the request, or from the service manager (credential.py).
"""

from __future__ import annotations

import contextlib
import os

from tokenward_agent.failure import Failure
from tokenward_agent.store.key_files import KeyFiles
from tokenward_agent.vault.sealing import KEY_SIZE, fill_random
from tokenward_agent.vault.slot import ARGON2ID, SALT_SIZE, Slot
from tokenward_agent.worker.runner import WorkerError, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tokenward_agent.arena import Arena
    from tokenward_agent.store.credential import Credential
    from tokenward_agent.vault.slot import Param

_IN_FILES = ("key-file", "dpapi")

ITEM = "tokenward"
"""The service under which a system keyring has our items; the user name is the vault's id."""

UNATTENDED_SECONDS = 3.0
"""For a keyring that is asked without anybody waiting at a screen."""

ATTENDED_SECONDS = 60.0
"""For a keyring that may put its own question to a person."""

ARGON2ID_SECONDS = 30.0
"""For stretching a passphrase, on a slow machine under load."""


class SlotKeys:
    """Gets, makes and removes the keys of slots."""

    def __init__(self, state: str, arena: Arena, credential: Credential) -> None:
        self._files = KeyFiles(state)
        self._arena = arena
        self.credential = credential

    @contextlib.contextmanager
    def lent(self, key: memoryview) -> Iterator[memoryview]:
        """Give a key back, wiped, after its use."""
        try:
            yield key
        finally:
            self._arena.give(key)

    async def get(
        self,
        slot: Slot,
        vault_id: str,
        session: Mapping[str, str],
        passphrase: memoryview | None = None,
        seconds: float = UNATTENDED_SECONDS,
    ) -> memoryview:
        """Return a block with the key of `slot`.

        Raises Failure: `passphrase-needed`, or `provider` with what went wrong.
        """
        if slot.kind == "passphrase" and passphrase is None and not self.credential.there:
            raise Failure(
                "passphrase-needed", "The vault opens with a passphrase.", "`auth unlock`"
            )
        key = self._arena.take(KEY_SIZE)
        try:
            if slot.kind in _IN_FILES:
                self._files.read(slot.kind, vault_id, key)
            elif slot.kind == "passphrase" and passphrase is not None:
                await self._stretch(slot.params, passphrase, key)
            elif slot.kind == "passphrase":
                with self.credential.lent() as handed:
                    await self._stretch(slot.params, handed, key)
            else:
                await self._ask_keyring("get", slot.params, session, key, seconds)
        except BaseException:
            self._arena.give(key)
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
        """Make the key of a new slot and put it where `get` finds it; return its parameters too.

        Raises Failure as `get` does.
        """
        params: dict[str, Param] = {}
        if kind == "passphrase":
            if not passphrase:
                raise Failure("passphrase-needed", "The vault needs a new passphrase.")
            params = {"salt": os.urandom(SALT_SIZE), **ARGON2ID}
        elif kind == "program":
            # Not the name of the slot `keyring`: the program may well keep it in the same keyring.
            name = f"{vault_id}-program"
            params = {"program": program or "", "service": ITEM, "username": name}
        elif kind == "keyring":
            params = {"service": ITEM, "username": vault_id}
        key = self._arena.take(KEY_SIZE)
        try:
            if kind == "passphrase" and passphrase is not None:
                await self._stretch(params, passphrase, key)
                return params, key
            fill_random(key)
            if kind in _IN_FILES:
                self._files.write(kind, vault_id, key)
            else:
                await self._ask_keyring("set", params, session, key, ATTENDED_SECONDS)
                slot = Slot(kind, params, b"")
                with self.lent(await self.get(slot, vault_id, session)) as check:
                    if check != key:
                        raise Failure("provider", "The keyring did not keep what was put in it.")
        except BaseException:
            self._arena.give(key)
            raise
        return params, key

    async def forget(self, slot: Slot, vault_id: str, session: Mapping[str, str]) -> None:
        """Remove the key of a slot that is no more; what cannot be removed opens nothing now."""
        if slot.kind in _IN_FILES:
            self._files.remove(slot.kind, vault_id)
        elif slot.kind in {"keyring", "program"}:
            with contextlib.suppress(Failure):
                await self._ask_keyring("delete", slot.params, session, None, UNATTENDED_SECONDS)

    async def _stretch(
        self, params: Mapping[str, Param], passphrase: memoryview, key: memoryview
    ) -> None:
        header = {name: params[name] for name in ("salt", "memory", "passes", "lanes")}
        await self._work("argon2id", header, passphrase, key, ARGON2ID_SECONDS)

    async def _ask_keyring(
        self,
        doing: str,
        params: Mapping[str, Param],
        session: Mapping[str, str],
        key: memoryview | None,
        seconds: float,
    ) -> None:
        job = "program" if "program" in params else "keyring"
        secret, into = (key, None) if doing == "set" else (None, key)
        await self._work(f"{job}-{doing}", dict(params), secret, into, seconds, session)

    async def _work(
        self,
        job: str,
        header: dict[str, Param],
        secret: memoryview | None,
        into: memoryview | None,
        seconds: float,
        session: Mapping[str, str] | None = None,
    ) -> None:
        try:
            await run(self._arena, job, header, secret, into, seconds, session or {})
        except WorkerError as error:
            raise Failure("provider", str(error), error.hint) from None
