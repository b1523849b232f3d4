"""What somebody finds who has every key that there ever was and every file that is left.

Written from docs/VAULT.md alone and made to find more than a reader would: no seal is checked, so
a file that is damaged, half written or of another generation gives away whatever its bytes hold.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import msgpack
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from support.inspection.held_texts import files_below

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NONCE, TAG = 12, 16
PARAMETERS = ("program", "service", "username", "salt", "memory", "passes", "lanes")


def header_of(data: bytes) -> tuple[dict[str, Any], int] | None:
    """Return a vault's header and where the body begins; None if these bytes have none."""
    at = data.find(b"\n") + 1
    size = int.from_bytes(data[at : at + 4], "big")
    try:
        header = msgpack.unpackb(data[at + 4 : at + 4 + size])
    except ValueError:
        return None
    return (header, at + 4 + size) if isinstance(header, dict) and "slots" in header else None


def context(label: str, *fields: object) -> bytes:
    parts = [
        f.to_bytes(8, "big") if isinstance(f, int) else f.encode() if isinstance(f, str) else f
        for f in fields
    ]
    assert all(isinstance(part, bytes) for part in parts)
    return label.encode() + b"\0" + b"".join(len(p).to_bytes(4, "big") + p for p in parts)  # type: ignore[arg-type,operator]


def stretched(data: bytes, phrase: bytes) -> bytes:
    """Return the key that a passphrase gives to the passphrase slot of a vault."""
    found = header_of(data)
    assert found is not None
    (slot,) = (slot for slot in found[0]["slots"] if slot["kind"] == "passphrase")
    return Argon2id(
        salt=slot["salt"],
        length=32,
        iterations=slot["passes"],
        lanes=slot["lanes"],
        memory_cost=slot["memory"],
    ).derive(phrase)


def data_keys(data: bytes, slot_keys: Iterable[bytes]) -> set[bytes]:
    """Return the data keys that any of the slot keys opens in the header of these bytes."""
    found = header_of(data)
    opened: set[bytes] = set()
    if found is None:
        return opened
    for slot in found[0]["slots"]:
        named = [slot[name] for name in PARAMETERS if name in slot]
        bound = context("tokenward slot", found[0]["vault"], slot["kind"], *named)
        sealed = slot["wrapped"]
        for key in slot_keys:
            with contextlib.suppress(InvalidTag):
                opened.add(ChaCha20Poly1305(key).decrypt(sealed[:NONCE], sealed[NONCE:], bound))
    return opened


def unsealed(key: bytes, nonce: bytes, data: bytes) -> bytes:
    """Decrypt without looking at the seal."""
    return Cipher(ChaCha20(key, b"\1\0\0\0" + nonce), None).decryptor().update(data)


def holds(data: bytes, keys: Iterable[bytes], secret: bytes) -> bool:
    """Tell whether these bytes give a secret away to whoever has these data keys."""
    if secret in data:
        return True
    found = header_of(data)
    start = found[1] if found is not None else 0
    for key in keys if len(data) > start + NONCE else ():
        body = unsealed(key, data[start : start + NONCE], data[start + NONCE :])
        for at in range(len(body) - NONCE):
            end = at + NONCE + len(secret)
            if unsealed(key, body[at : at + NONCE], body[at + NONCE : end]) == secret:
                return True
    return False


def left_behind(
    places: Iterable[Path], slot_keys: Iterable[bytes], keys: Iterable[bytes], secret: bytes
) -> list[str]:
    """Return the names of the files that give a secret away: to slot keys and to data keys."""
    slot_keys, found = list(slot_keys), []
    for place in places:
        for path, data in sorted(files_below(place)):
            if holds(data, {*keys, *data_keys(data, slot_keys)}, secret):
                found.append(path.name)
    return found
