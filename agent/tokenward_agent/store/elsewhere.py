"""What other agents of this credentials directory did meanwhile: a lock, a save.

There may be some: on another host that has the same home, in a container, or with a state directory
of their own. So before each answer it is looked whether the lock marker has come, and whether the
vaults' files are those that were read or written last:

- a marker that is new is a lock like one's own, though it be over by now: keys and what is in memory
  alone are destroyed, and shares end;
- a file that is another one is read before anything is answered. Where it has another key by now
  (a passphrase was set) the vault is closed, and opens as any other. Where it cannot be read, what
  is in memory goes on answering: that is what `auth restore` may have to save.

A thorough look opens the files, and the folder of the marker: a network file system asks its server
then, and answers a mere stat(2) from memory. On a local one (file_system.py) markers and saves come by
rename(2), which changes the folder: a glance at both folders is enough as long as neither has changed
for `SETTLED_NS`, within which two changes may have the same time. docs/RELIABILITY.md has the cost.
"""

from __future__ import annotations

import os
import sys
import time

from tokenward_agent.failure import Failure
from tokenward_agent.file_system import is_local
from tokenward_agent.vault.errors import VaultError
from tokenward_agent.vault.format import Header
from tokenward_os.files import SAFE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from tokenward_agent.store.changes import Changes
    from tokenward_agent.store.lock_marker import LockMarker
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.vault.vault import Vault

    Stamp = tuple[int, ...] | None

SETTLED_NS: Final = 100_000_000
"""Nanoseconds; the kernel's clock for files goes in steps of 10 ms at most."""


class Elsewhere:
    """Looks for one agent; `when_locked` is called where another one has locked."""

    def __init__(self, vaults: Vaults, changes: Changes, marker: LockMarker) -> None:
        self._vaults = vaults
        self._changes = changes
        self._marker = marker
        self.when_locked: Callable[[], None] = lambda: None
        self._stamps = {name: _stamp(vault) for name, vault in vaults.each.items()}
        self._folders = marker.folder, vaults.directory
        self._local = sys.platform != "win32" and all(map(is_local, self._folders))
        self._settled: tuple[int, int] | None = None

    def look(self, *, thoroughly: bool = False) -> bool:
        """Obey a lock that is new; tell whether a vault has to be read before anything is said."""
        changed = self._changed() if self._local else None
        if changed is not None and changed == self._settled and not thoroughly:
            return False
        self.obey()
        behind = any(map(self._is_behind, self._vaults.each.values()))
        quiet = changed is not None and max(changed) < time.time_ns() - SETTLED_NS
        self._settled = changed if quiet and not behind else None
        return behind

    def _changed(self) -> tuple[int, int] | None:
        """Return when each folder was changed last, in nanoseconds; None where one is missing."""
        marks, vaults = self._folders
        try:
            return os.stat(marks).st_ctime_ns, os.stat(vaults).st_ctime_ns
        except OSError:
            return None

    def obey(self) -> bool:
        """Obey a lock of another agent that is new, even if it is over; tell whether there was one."""
        new = self._marker.is_new()
        if new:
            self.when_locked()
        return new

    def _is_behind(self, vault: Vault) -> bool:
        """Tell whether an open vault has to be read; of others, and of own saves, a head is enough."""
        stamp = _stamp(vault)  # before it is read: what comes later is seen the next time
        if stamp == self._stamps[vault.provider]:
            return False
        if vault.state != "open":
            vault.adopt_look(vault.look())
        else:
            try:
                if not vault.is_newest():
                    return True
            except VaultError:
                return True
        self._stamps[vault.provider] = stamp
        return False

    async def catch_up(self) -> None:
        """Read what was saved since."""
        async with self._vaults.changing:
            for vault in self._vaults.each.values():
                stamp = _stamp(vault)
                if self._is_behind(vault):
                    await self._read(vault)
                    self._stamps[vault.provider] = stamp

    async def _read(self, vault: Vault) -> None:
        try:
            await self._vaults.change(vault, vault.reread)
            await self._changes.opened(vault)
        except Failure:
            found, known = vault.look(), vault.header
            if isinstance(found, Header) and known is not None and _opens(found) != _opens(known):
                self._vaults.closed(vault)
                vault.adopt_look(found)
                path = vault.storage.path
                self._vaults.notes[vault.provider] = f"{path} got another key while it was in use."


def _opens(header: Header) -> tuple[object, ...]:
    """Return what is another thing where a vault has another key."""
    return header.vault_id, header.slots


def _stamp(vault: Vault) -> Stamp:
    """Return what tells a vault's file from the one before it, None where there is none."""
    try:
        file = os.open(vault.storage.path, os.O_RDONLY | SAFE)
    except OSError:
        return None
    try:
        found = os.fstat(file)
    finally:
        os.close(file)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode
