"""A chain of lines: each is signed with a key that only this process has, and has only once.

Each line's key makes its MAC; once the line is written, the key is replaced by its hash. So an
attacker who takes over this process, or reads its memory, can sign later lines but no earlier one.
The vaults know what came before: they hold the chain's first key, sealed, and the MAC of the last
line.

The keys live in the arena. The first one stays until a vault has it and is wiped then; a vault that
opens later gets the current key and vouches from there on. The loop writes and a thread seals, so a
lock guards the keys.
"""

from __future__ import annotations

import hmac
import os
import threading
from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash

from tokenward_agent.vault.body import NAME_DIGITS, AuditAnchor, key_context
from tokenward_agent.vault.sealing import KEY_SIZE, fill_random, seal

if TYPE_CHECKING:
    from tokenward_agent.arena import Arena
    from tokenward_agent.audit.lines import Line
    from tokenward_agent.vault.sealing import Buffer

LABEL: Final = b"tokenward audit"

_HASH: Final = SHA256()
_NOTHING: Final = bytes(KEY_SIZE)


def mac_of(key: Buffer, line: bytes) -> bytes:
    """Return the MAC of a line, 32 bytes: HMAC-SHA256 (RFC 2104)."""
    return hmac.digest(key, line, "sha256")


def next_key(key: Buffer, into: memoryview) -> None:
    """Write the key that follows `key`, SHA-256(u32 1 | key | LABEL), into 32 other bytes.

    That is the one-step derivation of NIST SP 800-56C, which the library computes without a copy.
    """
    ConcatKDFHash(_HASH, KEY_SIZE, LABEL).derive_into(key, into)


class Mark(NamedTuple):
    """A place in a chain: `lines` lines are before it, the last in `file` with the MAC `mac`.

    `first` is the number of lines before the key that is known.
    """

    first: int
    lines: int
    file: int
    mac: bytes


class Chain:
    """The chain of one agent.

    `lines` counts its written lines; the last has the MAC `mac` and is in the file of number
    `file`. `has_first` tells whether the first key is still here.
    """

    def __init__(self, arena: Arena, log: str) -> None:
        self.name = os.urandom(NAME_DIGITS // 2).hex()
        self.log = log
        self.lines = 0
        self.file = 0
        self.mac = b""
        self._turn = threading.Lock()
        self._key, self._spare = arena.allocate(KEY_SIZE), arena.allocate(KEY_SIZE)
        self._first, self._marked = arena.allocate(KEY_SIZE), arena.allocate(KEY_SIZE)
        self.has_first = True
        fill_random(self._first)
        self._key[:] = self._first

    def __repr__(self) -> str:
        return f"Chain({self.name}, {self.lines} lines)"

    def sign(self, line: bytes) -> bytes:
        """Return the MAC of the next line."""
        return mac_of(self._key, line)

    def advance(self, mac: bytes, file: int) -> None:
        """Advance to the next key, since the line with this MAC is written."""
        with self._turn:
            next_key(self._key, self._spare)
            self._key, self._spare = self._spare, self._key
            self._spare[:] = _NOTHING  # from here on the written line cannot be signed again
            self.lines += 1
            self.mac, self.file = mac, file

    def mark(self) -> Mark:
        """Return the place, and keep its key for `anchor`; only one save at a time may do this."""
        with self._turn:
            first = 0 if self.has_first else self.lines
            self._marked[:] = self._first if self.has_first else self._key
            return Mark(first, self.lines, self.file, self.mac)

    def anchor(
        self, before: AuditAnchor | None, mark: Mark, vault_id: str, data_key: Buffer
    ) -> AuditAnchor:
        """Return a vault's new entry for this chain; `before` is its old one."""
        try:
            if before is not None:  # the vault has a key already, from which all later ones follow
                return before._replace(lines=mark.lines, file=mark.file, mac=mark.mac)
            place = key_context(vault_id, self.name, mark.first)
            sealed = seal(data_key, self._marked, place)
            return AuditAnchor(self.name, self.log, mark.first, sealed, *mark[1:])
        finally:
            self.wipe_mark()

    def wipe_mark(self) -> None:
        """Wipe the key that `mark` kept."""
        self._marked[:] = _NOTHING

    def copy_first_key(self, into: memoryview) -> bool:
        """Copy the first key, if it is still here; return whether it was."""
        with self._turn:
            if self.has_first:
                into[:] = self._first
            return self.has_first

    def wipe_first_key(self) -> None:
        """Wipe the first key, since a vault has it."""
        with self._turn:
            self.has_first = False
            self._first[:] = _NOTHING


class Keys:
    """The keys of one chain, in order; they never go back behind a valid line.

    A line that claims to be far ahead is tried, within `steps` in all, and the key before it is
    kept.
    """

    def __init__(self, keys: memoryview, reached: int, steps: int) -> None:
        self._right, self._key, self._spare = (keys[at : at + 32] for at in (0, 32, 64))
        self._reached = reached
        self._steps = steps

    def is_signed(self, line: Line) -> bool:
        """Tell whether a line has a valid signature for its number."""
        ahead = line.n - 1 - self._reached
        if not 0 <= ahead <= self._steps:
            return False
        self._steps -= ahead
        self._key[:] = self._right  # derive on a copy: a forged line must not advance the chain
        for _ in range(ahead):
            next_key(self._key, self._spare)
            self._key, self._spare = self._spare, self._key
        if mac_of(self._key, line.signed) != line.mac:
            return False
        self._right, self._key = self._key, self._right
        self._reached = line.n - 1
        return True
