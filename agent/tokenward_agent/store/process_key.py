"""Secrets in memory, sealed under a key that dies with this process.

They open until the key is replaced, which makes all of them unreadable at once, also those that
wait to be sent.
"""

from __future__ import annotations

from tokenward_agent.failure import KeyDestroyed
from tokenward_agent.vault.sealing import (
    KEY_SIZE,
    OVERHEAD,
    Tampered,
    fill_random,
    open_into,
    seal,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward_agent.arena import Arena


class ProcessKey:
    """A random key in the arena."""

    def __init__(self, arena: Arena) -> None:
        self._key = arena.allocate(KEY_SIZE)
        self.forget()

    def seal(self, secret: memoryview, where: bytes) -> KeptSecret:
        """Seal a secret, bound to the context *where*."""
        return KeptSecret(self._key, secret, where)

    def forget(self) -> None:
        """Make all sealed secrets unreadable."""
        fill_random(self._key)


class KeptSecret:
    """A secret in memory, of `size` bytes when open."""

    __slots__ = ("_key", "_sealed", "_where", "size")

    def __init__(self, key: memoryview, secret: memoryview, where: bytes) -> None:
        self._key = key
        self._where = where
        self._sealed = seal(key, secret, where)
        self.size = len(self._sealed) - OVERHEAD

    def open_into(self, view: memoryview) -> None:
        """Open it. Raise KeyDestroyed after `forget`."""
        try:
            open_into(self._key, self._sealed, self._where, view)
        except Tampered:
            raise KeyDestroyed from None
