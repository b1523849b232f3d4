r"""The bytes of a vault file; docs/VAULT.md is normative and has a worked example.

::

    tokenward-vault 5\n | u32 header length, big endian | header | sealed body

The header is a msgpack map and not encrypted: it names the vault and says how it opens. The body is
sealed under the vault's data key and bound to every byte before it, so a changed file and a mixture
of two files are noticed. The secrets in the body's records are sealed once more, each by itself, so
neither opening nor saving a vault opens a secret.

Version 4 lacks a record's `relay_alone`, `projects` and `trust`, version 3 also its `never_shown`, version 2 also the body's
`chains`, version 1 also the header's `seen`; they are read. A file is written as version 4 as long as
that can say all of it, so that an older tokenward reads it. A newer version is refused with a message. In a known version every unknown field is refused: a reader that ignored a
field could hand out what that field forbids. Sizes are checked before memory is allocated.

Pure; raises VaultError with code `vault` for every fault.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgpack

from tokenward_agent.vault import body as bodies
from tokenward_agent.vault import record as records_of
from tokenward_agent.vault import slot as slots_of
from tokenward_agent.vault.errors import Damaged, VaultError
from tokenward_agent.vault.record import LATEST
from tokenward_agent.vault.sealing import NONCE_SIZE, OVERHEAD, Tampered, open_listing, seal
from tokenward_agent.vault.slot import PARAMETERS, Slot

if TYPE_CHECKING:
    from tokenward_agent.vault.body import Body
    from tokenward_agent.vault.sealing import Buffer

VERSION: Final = 5
"""The newest version that is read."""

FILE_BYTES: Final = 64 << 20
RECORDS: Final = 100_000
HEADER_BYTES: Final = 16 * 1024
HEAD_BYTES: Final = 32 + HEADER_BYTES + NONCE_SIZE
"""The head of a file, with the body's nonce, lies within this many bytes."""

PROVIDERS: Final = ("keyring", "disabled")

_MAGIC: Final = b"tokenward-vault "
_KEYS: Final = {"vault", "provider", "generation", "seen", "slots"}


class Header(NamedTuple):
    """The unencrypted header of a file.

    `vault_id` (32 hex digits) names the vault, `provider` is its provider, `generation` counts its
    saves, `seen` is the latest wall time that the vault has seen, in seconds.
    """

    vault_id: str
    provider: str
    generation: int
    seen: int
    slots: tuple[Slot, ...]

    def slot(self, kind: str) -> Slot | None:
        """Return the slot of this kind, or None."""
        return next((slot for slot in self.slots if slot.kind == kind), None)


class Head(NamedTuple):
    """A header as it lies in a file, with the body's start and the nonce of this save."""

    header: Header
    version: int
    size: int
    nonce: bytes


def new_vault_id() -> str:
    """Return a random name for a vault: 32 hex digits."""
    return os.urandom(16).hex()


def serialise(header: Header, body: Body, data_key: Buffer) -> bytes:
    """Return the bytes of a vault's file. Raises VaultError if it would be too large to read."""
    packed = _pack(
        {
            "vault": header.vault_id,
            "provider": header.provider,
            "generation": header.generation,
            "seen": header.seen,
            "slots": [slots_of.to_values(slot) for slot in header.slots],
        }
    )
    version = bodies.version_for(body)
    head = b"%b%d\n%b%b" % (_MAGIC, version, len(packed).to_bytes(4, "big"), packed)
    listing = _pack(bodies.to_values(body, version))
    if len(body.records) > RECORDS or len(head) + len(listing) + OVERHEAD > FILE_BYTES:
        raise VaultError(
            "vault",
            f"The vault is full: it holds at most {RECORDS} credentials and {FILE_BYTES >> 20} MiB.",
            "`auth logout` removes what is no longer needed",
        )
    return head + seal(data_key, listing, head)


def parse_head(data: Buffer, path: str) -> Head:
    """Read the head of a file, or of its first HEAD_BYTES; *path* is for errors."""
    view = memoryview(data)
    line = bytes(view[:32]).partition(b"\n")[0]
    number = line[len(_MAGIC) :]
    if not line.startswith(_MAGIC) or not number.isdigit() or number.startswith(b"0"):
        raise damaged_error(path, "it is not a tokenward vault" if view else "it is empty")
    version = int(number)
    if version > VERSION:
        raise VaultError(
            "vault",
            f"{path} was written by a newer tokenward: its format is {version}, "
            f"and this one reads up to {VERSION}.",
            "update tokenward; the file was not changed",
        )
    begin = len(line) + 5
    length = int.from_bytes(view[begin - 4 : begin], "big")
    size = begin + length
    if length > HEADER_BYTES or size + NONCE_SIZE > len(view):
        raise damaged_error(path, "it was cut off or its header is too long")
    try:
        header = _header(_unpack(view[begin:size], HEADER_BYTES), version)
    except ValueError as error:
        raise damaged_error(path, f"its header is wrong: {error}") from None
    return Head(header, version, size, bytes(view[size : size + NONCE_SIZE]))


def parse_body(data: Buffer, head: Head, data_key: Buffer, path: str) -> Body:
    """Open the body of a whole file. Raises VaultError for another key or any changed byte."""
    view = memoryview(data)
    try:
        listing = open_listing(data_key, view[head.size :], bytes(view[: head.size]))
    except Tampered:
        raise damaged_error(path, "it was changed or cut off") from None
    try:
        return bodies.from_values(_unpack(listing, RECORDS), head.version)
    except ValueError as error:
        raise damaged_error(path, f"its body is wrong: {error}") from None


def damaged_error(path: str, reason: str) -> Damaged:
    """Return the error for a vault that cannot be read; the file stays as it is."""
    return Damaged(f"{path} cannot be read: {reason}.")


def _header(values: Any, version: int) -> Header:
    keys = _KEYS if version > 1 else _KEYS - {"seen"}
    if not isinstance(values, dict) or values.keys() != keys:
        raise ValueError("a field is missing or unknown")
    vault_id, provider, generation = values["vault"], values["provider"], values["generation"]
    seen = values.get("seen", 0)
    if type(vault_id) is not str or len(vault_id) != 32 or set(vault_id) - set("0123456789abcdef"):
        raise ValueError("its name is not 32 hex digits")
    if provider not in PROVIDERS:
        raise ValueError("its provider is unknown")
    if type(generation) is not int or not 1 <= generation < LATEST:
        raise ValueError("its generation is not a number")
    if type(seen) is not int or not 0 <= seen < LATEST:
        raise ValueError("its time is not a number")
    if not isinstance(values["slots"], list) or not 1 <= len(values["slots"]) <= len(PARAMETERS):
        raise ValueError("it has no slot, or too many")
    slots = tuple(map(slots_of.from_values, values["slots"]))
    if len({slot.kind for slot in slots}) != len(slots):
        raise ValueError("it has two slots of a kind")
    return Header(vault_id, provider, generation, seen, slots)


def _pack(value: object) -> bytes:
    packed: bytes = msgpack.packb(value)  # pyright: ignore[reportAssignmentType] - never None here
    return packed


def _unpack(data: Buffer, entries: int) -> Any:
    return msgpack.unpackb(
        data,
        raw=False,
        strict_map_key=True,
        object_pairs_hook=_unique,
        ext_hook=_no_extension,
        max_str_len=4096,
        max_bin_len=records_of.SECRET_BYTES + OVERHEAD,
        max_array_len=entries,
        max_map_len=16,
        max_ext_len=0,
    )


def _unique(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _no_extension(_code: int, _data: bytes) -> Any:
    raise ValueError("it has an extension type")
