"""Notice what other agents of this credentials directory did: a lock or a save.

They may run on another host with the same home, in a container, or with another state directory. So
before each answer the agent checks whether a lock marker is new, and whether the vaults' files are
those that it read or wrote last:

- A new marker counts as a lock of this agent, even if that lock is over: keys and credentials in
  memory are wiped, and shares end.
- A changed file is read before the answer. If it has another key (a passphrase was set), the vault
  is closed, and opens like any other. If it cannot be read, the records in memory go on answering:
  `auth restore` may have to save them.

A thorough look opens the files and the marker's folder: then a network file system asks its server,
while a mere stat(2) may be answered from a cache. On a local one (own_folders.py) markers and saves
come by rename(2), which changes the folder: the times of both folders are enough if neither changed
within `SETTLED_NS`, since two changes in that time may have the same timestamp. docs/RELIABILITY.md
has the cost.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Final

from tokenward_agent.failure import Failure
from tokenward_agent.own_folders import is_local
from tokenward_agent.vault.errors import VaultError
from tokenward_agent.vault.format import Header
from tokenward_os.files import SAFE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward_agent.store.changes import Changes
    from tokenward_agent.store.lock_marker import LockMarker
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.vault.vault import Vault

    Stamp = tuple[int, ...] | None

SETTLED_NS: Final = 100_000_000
"""Nanoseconds; the kernel's clock for files goes in steps of at most 10 ms."""


class OtherAgents:
    """Looks for one agent; `when_locked` is called if another agent has locked."""

    def __init__(self, vaults: Vaults, changes: Changes, marker: LockMarker) -> None:
        self._vaults, self._changes, self._marker = vaults, changes, marker
        self.when_locked: Callable[[], None] = lambda: None
        self._stamps = {name: _stamp_of(vault) for name, vault in vaults.each.items()}
        self._folders = marker.folder, vaults.directory
        self._local = sys.platform != "win32" and all(map(is_local, self._folders))
        self._settled: tuple[int, int] | None = None

    def check(self, *, thoroughly: bool = False) -> bool:
        """Obey a new lock; tell whether a vault has to be read before the answer."""
        changed = self._change_times() if self._local else None
        if changed is not None and changed == self._settled and not thoroughly:
            return False
        self.obey_lock()
        behind = any(map(self._is_behind, self._vaults.each.values()))
        quiet = changed is not None and max(changed) < time.time_ns() - SETTLED_NS
        self._settled = changed if quiet and not behind else None
        return behind

    def _change_times(self) -> tuple[int, int] | None:
        """Return the change times of both folders in nanoseconds; None if one is missing."""
        marks, vaults = self._folders
        try:
            return os.stat(marks).st_ctime_ns, os.stat(vaults).st_ctime_ns
        except OSError:
            return None

    def obey_lock(self) -> bool:
        """Obey a new lock of another agent, even if it has ended; tell whether there was one."""
        new = self._marker.is_new()
        if new:
            self.when_locked()
        return new

    def _is_behind(self, vault: Vault) -> bool:
        """Tell whether an open vault has to be read; of a closed one the head is read at once."""
        stamp = _stamp_of(vault)  # before reading: a later change is seen next time
        if stamp == self._stamps[vault.provider]:
            return False
        if vault.state != "open":
            vault.install_header(vault.read_header())
        else:
            try:
                if not vault.is_newest():
                    return True
            except VaultError:
                return True
        self._stamps[vault.provider] = stamp
        return False

    async def catch_up(self) -> None:
        """Read what other agents saved."""
        async with self._vaults.changing:
            for vault in self._vaults.each.values():
                stamp = _stamp_of(vault)
                if self._is_behind(vault):
                    await self._read(vault)
                    self._stamps[vault.provider] = stamp

    async def _read(self, vault: Vault) -> None:
        try:
            await self._vaults.change(vault, vault.reread)
            await self._changes.settle_opened(vault)
        except Failure:
            found, known = vault.read_header(), vault.header
            if (
                isinstance(found, Header)
                and known is not None
                and _key_identity(found) != _key_identity(known)
            ):
                self._vaults.close(vault)
                vault.install_header(found)
                path = vault.storage.path
                self._vaults.notes[vault.provider] = f"{path} got another key while it was open."


def _key_identity(header: Header) -> tuple[object, ...]:
    """Return what changes with a vault's key."""
    return header.vault_id, header.slots


def _stamp_of(vault: Vault) -> Stamp:
    """Return what distinguishes a vault's file from the former one; None without a file."""
    try:
        file = os.open(vault.storage.path, os.O_RDONLY | SAFE)
    except OSError:
        return None
    try:
        found = os.fstat(file)
    finally:
        os.close(file)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode
