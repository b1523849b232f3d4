"""Adopted credentials: they stay in a keyring and are read from it when needed.

A vault knows only that such a credential exists and how it is read. A secret that was read is kept
for `KEPT_SECONDS`, sealed under a key of this process, and forgotten when the agent is locked. The
service is looked up as the user typed it, in its canonical spelling, with and without the final
slash, and with `simple/`: backends store it under different spellings.

Requests for a credential that is being read wait for the same reading, and each reader reads at
most `AT_ONCE` at a time: a keyring that does not answer fills neither the machine nor the arena. A
result is discarded if the agent was locked, or the credential logged out or replaced, while it was
read.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenward_agent.failure import Failure
from tokenward_agent.store.lookup import locked_meanwhile_error
from tokenward_agent.store.memory_records import KeptSecret  # noqa: TC001 - NamedTuple reads its annotations
from tokenward_agent.store.slot_keys import ATTENDED_SECONDS
from tokenward_agent.vault.sealing import context
from tokenward_agent.worker.runner import WorkerError, run_job

if TYPE_CHECKING:
    from tokenward_agent.arena import Arena
    from tokenward_agent.clock import Clock
    from tokenward_agent.store.keyring_program import KeyringProgram
    from tokenward_agent.store.memory_records import ProcessKey
    from tokenward_agent.vault.record import Key, Record

KEPT_SECONDS = 300  # seconds for which a secret is kept in memory
AT_ONCE = 8  # secrets that one reader reads at a time
_ROOM = 64 * 1024


class Reading(NamedTuple):
    """The secret that a keyring returned, valid until the boot clock reaches *until*."""

    secret: KeptSecret
    until: int


class AdoptedSecrets:
    """Reads and keeps the adopted secrets of one agent."""

    def __init__(
        self, arena: Arena, clock: Clock, key: ProcessKey, program: KeyringProgram
    ) -> None:
        self._arena, self._clock, self._program, self._key = arena, clock, program, key
        self._kept: dict[Key, Reading] = {}
        self._reading: dict[Key, asyncio.Task[KeptSecret]] = {}
        self._turns = {name: asyncio.Semaphore(AT_ONCE) for name in ("keyring", "subprocess")}
        self._forgotten = 0

    def forget(self) -> None:
        """Make all kept secrets unreadable, and those that wait to be sent."""
        self._forgotten += 1
        self._reading.clear()
        self._kept.clear()
        self._key.forget()

    def drop(self, key: Key) -> None:
        """Forget one secret: it was logged out or replaced."""
        self._reading.pop(key, None)
        self._kept.pop(key, None)

    async def check(self, record: Record) -> None:
        """Read a secret once, before it is adopted. Raise Failure as `read_secret`."""
        await self._read_now(record, self._forgotten)

    async def read_secret(self, record: Record) -> KeptSecret:
        """Return the secret of an adopted record. Raise Failure: `provider`, `not-found`."""
        kept = self._kept.get(record.key)
        if kept is not None and self._clock.boot() < kept.until:
            return kept.secret
        reading = self._reading.get(record.key)
        if reading is None:
            reading = asyncio.get_running_loop().create_task(self._read(record, self._forgotten))
            self._reading[record.key] = reading
        return await asyncio.shield(reading)

    async def _read(self, record: Record, forgotten: int) -> KeptSecret:
        try:
            secret, until = await self._read_now(record, forgotten)
        finally:
            wanted = self._reading.get(record.key) is asyncio.current_task()
            if wanted:
                del self._reading[record.key]
        if not wanted:
            raise Failure("busy", "The credential was replaced meanwhile.", "try again")
        now = self._clock.boot()
        self._kept = {key: each for key, each in self._kept.items() if now < each.until}
        self._kept[record.key] = Reading(secret, until)
        return secret

    async def _read_now(self, record: Record, forgotten: int) -> Reading:
        reader = record.adopted.reader if record.adopted is not None else "keyring"
        async with self._turns[reader]:
            block = self._arena.allocate(_ROOM)
            try:
                answer = await self._run_job("read", record, block)
                if forgotten != self._forgotten:
                    raise locked_meanwhile_error()
                secret = block[: answer["size"]]
                kept = self._key.seal(
                    secret, context(b"tokenward adopted", record.service, record.username)
                )
                secret.release()
            finally:
                self._arena.release(block)
        return Reading(kept, self._clock.boot() + KEPT_SECONDS)

    async def purge(self, record: Record) -> None:
        """Delete an adopted credential from its keyring; do nothing for other records."""
        if record.adopted is not None:
            for spelling in spellings(record.adopted.spelling, record.service):
                with contextlib.suppress(Failure):
                    await self._run_job("delete", record, None, spelling)

    async def _run_job(
        self, doing: str, record: Record, into: memoryview | None, spelling: str | None = None
    ) -> dict[str, Any]:
        adopted = record.adopted
        if adopted is None:
            raise LookupError
        header: dict[str, Any] = {"username": record.username}
        if doing == "read":
            header["services"] = spellings(adopted.spelling, record.service)
        else:
            header["service"] = spelling
        try:
            if adopted.reader == "subprocess":
                return await self._program.run(doing, header, None, into, ATTENDED_SECONDS, {})
            return await run_job(
                self._arena, f"keyring-{doing}", header, None, into, ATTENDED_SECONDS, {}
            )
        except WorkerError as error:
            code = "not-found" if error.code == "not-found" else "provider"
            raise Failure(code, str(error), error.hint) from None


def spellings(typed: str, normalised: str) -> list[str]:
    """Return the spellings under which another tool may have stored a credential, in order.

    As typed and normalised, each with and without a trailing slash and with ``/simple/``.
    """
    found: dict[str, None] = {}
    for service in (typed, normalised):
        bare = service.rstrip("/")
        found.update(dict.fromkeys((service, bare, f"{bare}/")))
    for service in (typed, normalised):
        bare = service.rstrip("/")
        if "://" in bare and not bare.endswith("/simple"):
            found.update(dict.fromkeys((f"{bare}/simple/", f"{bare}/simple")))
    return list(found)
