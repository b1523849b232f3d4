"""What is known of a vault while it is closed: what it holds, and what of that must not come back.

Other tools may answer for origins that were never stored here, but a closed vault does not tell
what it holds. So the state folder has for each vault a keyed hash of every origin (scheme, host and
port) or opaque service, with the vault's id and generation. The list is written when an open vault
is read or saved. A list of another vault or generation says nothing: the file was changed elsewhere
or replaced by a backup. Stale lists are recognised by that, so the list need not survive a power
cut. The key is beside the hashes: a process that can read the file can test host names against it,
but learns neither paths nor user names. The list protects nothing, and no credential depends on it.

A vault that was closed may hold an older credential of a service and user name that was logged out.
An expired record leaves the vault a moment later, or not at all if that cannot be written; by then
the clock may have been set back, and the agent locked or killed. A tombstone, which names service,
user name and projects by a digest, says up to which time records are gone. It stays until the vault
was opened and those records were removed. Tombstones keep the order, not a secret: a process that
can remove them can use the older vault anyway.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from typing import TYPE_CHECKING, Final

from tokenward_agent.files import read_object, replace, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenward_agent.vault.record import Limits, Record
    from tokenward_agent.vault.vault import Vault

NAME: Final = "stored.json"  # the file's name in the state folder; small clients read it, too
_SIZE: Final = 16


class StoredOrigins:
    """The list of one credentials directory, whose state folder is `state`."""

    def __init__(self, state: str) -> None:
        self._path = os.path.join(state, NAME)

    def note(self, vault: Vault, services: Iterable[str]) -> None:
        """Write what an open vault holds; if that fails, it counts as unknown."""
        if vault.header is None:
            return
        held = read_object(self._path)
        key = _read_key(held)
        if key is None:
            key = os.urandom(_SIZE)
            held = dict[str, object](key=key.hex())
        held[vault.provider] = {
            "vault": vault.header.vault_id,
            "generation": vault.header.generation,
            "origins": sorted({_hash(key, origin(each)) for each in services}),
        }
        with contextlib.suppress(OSError):
            write(self._path, json.dumps(held).encode())

    def has(self, vaults: Iterable[Vault], wanted: Iterable[str]) -> bool | None:
        """Tell whether one of these vaults holds anything for these origins; None if unknown."""
        held = read_object(self._path)
        key = _read_key(held)
        if key is None:
            return None
        hashes = {_hash(key, each) for each in wanted}
        known: list[bool | None] = [_list_holds(held.get(v.provider), v, hashes) for v in vaults]
        if True in known:
            return True
        return None if None in known or not hashes else False


def origin(service: str) -> str:
    """Return scheme, host and port of a key; an opaque service is its own origin."""
    return "/".join(service.split("/", 3)[:3]) if "://" in service else service


def _list_holds(listed: object, vault: Vault, hashes: set[str]) -> bool | None:
    if not isinstance(listed, dict) or not isinstance(listed.get("origins"), list):
        return None
    if any(each in hashes for each in listed["origins"]):
        return True  # even an old list: too much caution harms less
    header = vault.header
    if header is not None and (listed.get("vault"), listed.get("generation")) != (
        header.vault_id,
        header.generation,
    ):
        return None
    return False


def _read_key(held: dict[str, object]) -> bytes | None:
    try:
        key = bytes.fromhex(str(held.get("key")))
    except ValueError:
        return None
    return key if len(key) == _SIZE else None


def _hash(key: bytes, text: str) -> str:
    return hashlib.blake2s(text.encode(), key=key, digest_size=_SIZE).hexdigest()


class Tombstones:
    """The tombstones of the vault of `provider`, in the folder `state`."""

    def __init__(self, state: str, provider: str) -> None:
        self._path = os.path.join(state, f"{provider}.tombstones.json")
        self._unwritten: dict[str, int] = {}

    def add(self, entries: Iterable[tuple[Record, Limits]]) -> None:
        """Note entries that are gone, each with its limits. Raises OSError if only this agent knows it."""
        held = self._read()
        for record, limits in entries:
            key = _entry_digest(record.service, record.username, limits)
            held[key] = max(record.created, held.get(key, 0))
        self._unwritten = held
        replace(self._path, json.dumps(held).encode())
        self._unwritten = {}

    def earliest_login(self, service: str, username: str, limits: Limits) -> int:
        """Return the first time at which an entry with these limits is not covered."""
        return _end_of(self._read(), service, username, limits) + 1

    def matching(
        self, records: Iterable[Record], limits_of: Callable[[Record], Limits]
    ) -> list[Record]:
        """Return the records that are covered; `limits_of` may open a secret."""
        held = self._read()
        if not held:
            return []
        return [
            each
            for each in records
            if each.created <= _end_of(held, each.service, each.username, limits_of(each))
        ]

    def clear(self) -> None:
        """Remove all tombstones; call it when the vault holds none of their records."""
        self._unwritten = {}
        with contextlib.suppress(OSError):
            if os.path.lexists(self._path):
                os.unlink(self._path)

    def _read(self) -> dict[str, int]:
        written = {k: v for k, v in read_object(self._path).items() if type(v) is int}
        return written | self._unwritten


def _end_of(held: dict[str, int], service: str, username: str, limits: Limits) -> int:
    """Return the time up to which an entry is gone, -1 if it is not.

    Agents that knew one entry for each account noted that, whatever its limits.
    """
    account = hashlib.sha256(f"{service}\0{username}".encode()).hexdigest()
    return max(held.get(account, -1), held.get(_entry_digest(service, username, limits), -1))


def _entry_digest(service: str, username: str, limits: Limits) -> str:
    names = ("",) if limits is None else limits
    return hashlib.sha256("\0".join((service, username, *names)).encode()).hexdigest()
