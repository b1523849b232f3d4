"""Sealing: ChaCha20-Poly1305 (RFC 8439) over buffers; random bytes and a MAC that leave no copies.

A sealed value is ``nonce (12) | ciphertext | tag (16)``. Nonces are random: a key may seal 2**32
values before two nonces are likely to be equal, far more than a vault is saved. A value is bound to
its place by its *context*, the associated data: a value that was moved does not open.

Keys and plaintexts may be any buffer, so that they can stay in the arena. A cipher object copies
its key and wipes the copy when it is freed; so each use makes a new one. On processors without
AVX-512, OpenSSL leaves the key and a part of the plaintext on the stack: so each use is followed by
the same one with a key and a text of zeros, whose traces lie in the same places. Refuses to leave
unauthenticated bytes behind: if opening fails, the output is wiped.
"""

from __future__ import annotations

import ctypes
import hmac
import os
import sys
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from tokenward_agent.arena import wipe

if TYPE_CHECKING:
    Buffer = bytes | bytearray | memoryview

KEY_SIZE: Final = 32
NONCE_SIZE: Final = 12
TAG_SIZE: Final = 16
OVERHEAD: Final = NONCE_SIZE + TAG_SIZE
"""Bytes by which a sealed value is longer than its plaintext."""


MAC_SIZE: Final = 32
_NOTHING: Final = bytes(MAC_SIZE)
_BYTES_HEAD: Final = bytes.__basicsize__ - 1
"""Offset of a bytes object's data behind its head; the last byte of the size is a NUL."""


class Tampered(Exception):  # noqa: N818 - what it says
    """The value does not open: another key, another context, or it was changed."""


def context(label: bytes, *fields: str | bytes | int) -> bytes:
    """Join a label and fields so that different lists give different bytes.

    ``label | 00``, then each field as ``u32 length (big endian) | bytes``; text is UTF-8 and an
    integer eight bytes, big endian.
    """
    parts = [label, b"\0"]
    for field in fields:
        if isinstance(field, str):
            raw = field.encode()
        else:
            raw = field.to_bytes(8, "big") if isinstance(field, int) else field
        parts += (len(raw).to_bytes(4, "big"), raw)
    return b"".join(parts)


def seal(key: Buffer, plaintext: Buffer, aad: bytes) -> bytes:
    """Seal *plaintext* under a key of 32 bytes."""
    sealed = _encrypt(key, plaintext, aad)
    _encrypt(_NOTHING, bytes(_alike(len(plaintext))), aad)
    return sealed


def open_into(key: Buffer, sealed: Buffer, aad: bytes, out: memoryview) -> int:
    """Open *sealed* into the start of *out* and return the number of bytes written.

    Raises Tampered, with *out* wiped, if it does not open; ValueError if *out* is too small.
    """
    size = len(sealed) - OVERHEAD
    if size < 0:
        raise Tampered
    if size > len(out):
        raise ValueError("the output is smaller than what was sealed")
    is_open = _decrypt(key, memoryview(sealed), aad, out[:size])
    zeros = bytes(_alike(size) + OVERHEAD)
    _decrypt(_NOTHING, memoryview(zeros), aad, bytearray(len(zeros) - OVERHEAD))
    if not is_open:
        wipe(out[:size])
        raise Tampered
    return size


def open_listing(key: Buffer, sealed: Buffer, aad: bytes) -> bytes:
    """Open what is private but not secret, such as the listing of a vault. Raises Tampered."""
    out = bytearray(max(0, len(sealed) - OVERHEAD))
    open_into(key, sealed, aad, memoryview(out))
    return bytes(out)


def _encrypt(key: Buffer, plaintext: Buffer, aad: bytes) -> bytes:
    nonce = os.urandom(NONCE_SIZE)
    return nonce + ChaCha20Poly1305(key).encrypt(nonce, plaintext, aad)


def _decrypt(key: Buffer, sealed: memoryview, aad: bytes, out: memoryview | bytearray) -> bool:
    """Tell whether it opens."""
    nonce, ciphertext = sealed[:NONCE_SIZE], sealed[NONCE_SIZE:]
    try:
        ChaCha20Poly1305(key).decrypt_into(nonce, ciphertext, aad, out)
    except InvalidTag:
        return False
    return True


def _alike(size: int) -> int:
    """Return a size whose traces cover those of `size`.

    OpenSSL chooses among its routines by sizes of up to 512, and the widest takes 512 at a time.
    """
    return size if size < 1024 else 512 + size % 512


def fill_random(view: memoryview) -> None:
    """Fill *view* with random bytes, straight from the system. Raises OSError."""
    if sys.platform == "win32":
        from tokenward_agent.windows import memory

        memory.fill_random(view)
        return
    device = os.open("/dev/urandom", os.O_RDONLY | os.O_CLOEXEC)
    try:
        filled = 0
        while filled < len(view):
            filled += os.readv(device, [view[filled:]])
    finally:
        os.close(device)


def mac_into(key: memoryview, message: bytes, out: memoryview) -> None:
    """Write the 32 bytes of HMAC-SHA256 to *out*, which may be *key*."""
    digest = hmac.digest(key, message, "sha256")
    out[:] = digest
    ctypes.memset(id(digest) + _BYTES_HEAD, 0, MAC_SIZE)
    hmac.digest(_NOTHING, message, "sha256")


# A first call resolves symbols, which saves registers on the stack: make it without a secret.
mac_into(memoryview(bytearray(MAC_SIZE)), b"", memoryview(bytearray(MAC_SIZE)))
