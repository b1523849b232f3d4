"""The data key of an open vault: one view of the arena, for the loop and one thread at a time.

It is read, filled and wiped under one lock, held for milliseconds at most (to seal a listing). So a
vault can be closed while a thread saves it, and nothing is sealed under a key that was just wiped.

A key is *held* from the moment the loop adopts it. The epoch counts closings, so that the result of
a thread that began before a closing is recognised.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from tokenward_agent.arena import wipe
from tokenward_agent.vault.errors import VaultError
from tokenward_protocol.messages import vault_name

if TYPE_CHECKING:
    from collections.abc import Iterator


class DataKey:
    """The key in *view*, 32 writable bytes; *provider* names its vault in sentences."""

    __slots__ = ("_lock", "_provider", "_view", "epoch", "held")

    def __init__(self, view: memoryview, provider: str) -> None:
        self._view = view
        self._provider = provider
        self._lock = threading.Lock()
        self.held = False
        self.epoch = 0

    def __repr__(self) -> str:
        return f"DataKey({self._provider}, {'held' if self.held else 'not held'})"

    @contextlib.contextmanager
    def use(self, epoch: int | None = None) -> Iterator[memoryview]:
        """Lend the key. Raises VaultError, `locked`, if it is not held, or wiped since *epoch*."""
        with self._lock:
            if not self.held or epoch not in (None, self.epoch):
                raise self.closed_error()
            yield self._view

    @contextlib.contextmanager
    def fill(self) -> Iterator[memoryview]:
        """Lend the view to fill it; wipe it if that fails. Raises ValueError if a key is held."""
        with self._lock:
            if self.held:
                raise ValueError("a key is held")
            try:
                yield self._view
            except BaseException:
                wipe(self._view)
                raise

    def take(self, epoch: int, new_key: memoryview | None) -> bool:
        """Hold the key in the view, or *new_key* in its place, which is wiped.

        Return False if the key was wiped since *epoch*; then everything that is not held is wiped.
        """
        with self._lock:
            current = epoch == self.epoch
            if new_key is not None:
                if current:
                    self._view[:] = new_key
                wipe(new_key)
            if current:
                self.held = True
            elif not self.held:
                wipe(self._view)
            return current

    def wipe(self) -> None:
        """Wipe the key."""
        with self._lock:
            self.epoch += 1
            self.held = False
            wipe(self._view)

    def closed_error(self) -> VaultError:
        """Return the error for a use of the key while it is not held."""
        return VaultError(
            "locked", f"The {vault_name(self._provider)} is not open.", "`auth unlock`"
        )
