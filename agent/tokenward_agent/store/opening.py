"""Opening vaults: how a vault's key comes into memory, with and without the user.

- A vault that opens without the user (by a key file, a keyring, a keyring program, or a passphrase
  from the service manager) is opened at the start, and by the next request that needs it. So the
  user is not prompted after a crash or reboot.
- A keyring that does not answer keeps only its own vault closed. The agent tries it again after
  `RETRY_SECONDS`, and at every `unlock`.
- An opening that began before a lock does not end that lock.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tokenward_agent.failure import Failure
from tokenward_agent.store.key_files import CREDENTIAL
from tokenward_agent.store.lookup import locked_meanwhile_error
from tokenward_agent.store.other_agents import OtherAgents
from tokenward_agent.store.slot_keys import UNATTENDED_SECONDS
from tokenward_agent.vault.errors import Damaged, WrongKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenward_agent.store.changes import Changes
    from tokenward_agent.store.lock_marker import LockMarker
    from tokenward_agent.store.slot_keys import SlotKeys
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.vault.slot import Slot
    from tokenward_agent.vault.vault import Vault

UNATTENDED = ("key-file", "dpapi", "keyring", "program", "passphrase")
"""Slots that open without the user, in the order of the attempts; the last needs a credential."""

RETRY_SECONDS = 5
"""Seconds from a failed attempt without the user to the next: a stuck keyring costs some."""

_MOST_FAILURES = 100  # each invalid bus that a request names adds an entry
SETTLE_SECONDS = 1  # seconds from the start of an opening; a working keyring has answered by then


class Opening:
    """Opens the vaults of one agent."""

    def __init__(
        self, vaults: Vaults, changes: Changes, keys: SlotKeys, marker: LockMarker
    ) -> None:
        self._vaults, self._changes, self._keys, self._marker = vaults, changes, keys, marker
        self.other_agents = OtherAgents(vaults, changes, marker)
        """Sees what other agents did; a request that waited looks again."""
        self._openings: dict[str, asyncio.Task[None]] = {}  # in progress, by provider
        self._settled = 0.0  # until then requests wait for openings; by the loop's clock
        self._failed: dict[tuple[str, str], int] = {}  # when, by provider and the requester's bus
        self.notes, self.hints = vaults.notes, vaults.hints
        """Why a vault could not be opened, and what helps, by provider."""

    @property
    def is_locked(self) -> bool:
        """Whether the agent is locked."""
        return self._marker.is_present

    @property
    def has_service_passphrase(self) -> bool:
        """Whether the service manager hands a passphrase over."""
        return self._keys.credential.is_present

    def unattended_slots(self, vault: Vault) -> list[Slot]:
        """Return the slots of a vault that open without the user, in the order of the attempts."""
        slots = vault.header.slots if vault.header is not None else ()
        kinds = UNATTENDED if self.has_service_passphrase else UNATTENDED[:-1]
        return sorted(
            (slot for slot in slots if slot.kind in kinds),
            key=lambda slot: UNATTENDED.index(slot.kind),
        )

    def can_open(self, provider: str | None, bus: str = "") -> bool:
        """Tell whether a closed vault may open now without the user, by itself or with that bus."""
        self.look_again(provider)
        return not self.is_locked and any(
            self._is_openable(vault, bus) for vault in self._vaults.of(provider)
        )

    def look_again(self, provider: str | None) -> None:
        """Read the vaults again that could not be read: a mode or owner may be right by now."""
        for vault in self._vaults.of(provider):
            if vault.problem is not None and not isinstance(vault.problem, Damaged):
                vault.install_header(vault.read_header())

    def _is_openable(self, vault: Vault, bus: str) -> bool:
        if vault.provider in self._openings:
            return True
        rested = self._may_retry(vault, "") or (bool(bus) and self._may_retry(vault, bus))
        return vault.state == "closed" and rested and bool(self.unattended_slots(vault))

    def _may_retry(self, vault: Vault, bus: str) -> bool:
        failed = self._failed.get((vault.provider, bus))
        return failed is None or self._vaults.clock.boot() - failed >= RETRY_SECONDS

    async def open_available(self, provider: str | None) -> None:
        """Open the vaults that open without the user, before a request that needs them."""
        if self.can_open(provider):
            await self.open_unattended(provider)

    def is_settling(self, provider: str | None) -> bool:
        """Tell whether vaults that may have a better answer will be open in a moment."""
        opening = any(vault.provider in self._openings for vault in self._vaults.of(provider))
        return opening and asyncio.get_running_loop().time() < self._settled

    async def open_unattended(
        self,
        provider: str | None = None,
        enough: Callable[[], object] = lambda: False,
        bus: str = "",
    ) -> None:
        """Open the vaults that open without the user; `notes` has the reasons of failures.

        `bus` is the requester's session bus, which may have a keyring if the agent's has none.

        All openings start at once. The caller waits for those of `provider`: first up to
        `SETTLE_SECONDS`, since any vault may have the better answer, then until `enough` is true.
        So a keyring that does not answer delays no request that another vault answers. Requests
        that come meanwhile wait for the same attempt.
        """
        loop = asyncio.get_running_loop()
        for vault in self._vaults.each.values():
            if self._is_openable(vault, bus) and vault.provider not in self._openings:
                opening = loop.create_task(
                    self._open_without_user(vault, self._vaults.closings, bus)
                )
                self._openings[vault.provider] = opening
                self._settled = loop.time() + SETTLE_SECONDS
        names = [vault.provider for vault in self._vaults.of(provider)]
        waiting = {self._openings[name] for name in names if name in self._openings}
        if waiting and (moment := self._settled - loop.time()) > 0:
            _, waiting = await asyncio.wait(waiting, timeout=moment)
        while waiting and not enough():
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)

    async def _open_without_user(self, vault: Vault, closings: int, bus: str) -> None:
        """Try the agent's own session, then the requester's bus."""
        try:
            for each in dict.fromkeys(("", bus)):
                if not self._may_retry(vault, each):
                    continue
                self._failed[vault.provider, each] = self._vaults.clock.boot()
                session = {"DBUS_SESSION_BUS_ADDRESS": each} if each else {}
                if await self.open_by_itself(vault, session, closings):
                    self._forget_failures(vault)
                    return
        finally:
            if len(self._failed) > _MOST_FAILURES:
                self._failed.clear()
            del self._openings[vault.provider]

    def _forget_failures(self, vault: Vault) -> None:
        self._failed = {key: when for key, when in self._failed.items() if key[0] != vault.provider}

    async def open_by_itself(
        self,
        vault: Vault,
        session: Mapping[str, str],
        closings: int,
        seconds: float = UNATTENDED_SECONDS,
    ) -> bool:
        """Open a vault without the user; return False, with the reason noted, if that fails.

        Nothing is opened if a vault was closed since the counter was `closings`.
        """
        for slot in self.unattended_slots(vault):
            try:
                await self.open(vault, slot, session, None, closings, seconds)
            except Failure as error:
                if closings != self._vaults.closings:
                    return False
                # Unlocking does not help if the program must not run; its own hint does.
                hint = error.hint if slot.kind == "program" else ""
                self._note(vault.provider, str(error), hint)
            except WrongKey:
                what = f"The credential `{CREDENTIAL}`" if slot.kind == "passphrase" else "The key"
                self._note(
                    vault.provider, f"{what} of the slot `{slot.kind}` does not open it.", ""
                )
            else:
                return True
        return False

    async def open(
        self,
        vault: Vault,
        slot: Slot,
        session: Mapping[str, str],
        passphrase: memoryview | None,
        closings: int,
        seconds: float = UNATTENDED_SECONDS,
    ) -> None:
        """Get a slot's key and open a vault, unless one was closed since there were `closings`."""
        header = vault.header
        vault_id = header.vault_id if header is not None else ""
        with self._keys.borrow(
            await self._keys.get(slot, vault_id, session, passphrase, seconds)
        ) as key:
            async with self._vaults.changing:
                if closings != self._vaults.closings:
                    raise locked_meanwhile_error()
                if vault.state == "open":
                    return
                await self._vaults.change(vault, lambda: vault.open(slot.kind, key))
                await self._changes.settle_opened(vault)
        self.notes.pop(vault.provider, None)
        self.hints.pop(vault.provider, None)

    def _note(self, provider: str, why: str, hint: str) -> None:
        self.notes[provider] = why
        self.hints.pop(provider, None)
        if hint:
            self.hints[provider] = hint

    def opening_needs(self, vault: Vault) -> str:
        """Return what the user must supply to open a vault: `nothing`, or a `passphrase`.

        A vault that opens either way needs a passphrase once the other way has failed.
        """
        if vault.header is None or vault.header.slot("passphrase") is None:
            return "nothing"
        alone = self.unattended_slots(vault) and vault.provider not in self.notes
        return "nothing" if alone else "passphrase"

    def rescan(self, provider: str | None) -> None:
        """Notice vaults that were put in place or repaired since the last look."""
        for vault in self._vaults.of(provider):
            self._forget_failures(vault)
            if vault.state != "open":
                vault.install_header(vault.read_header())
