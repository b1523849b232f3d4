"""Read a vault's file: only its head, or all of it, to be opened with a key.

Refuses a file of another provider: a vault that was copied over another one is not read.
"""

from __future__ import annotations

from typing import NamedTuple

from tokenward_agent.vault.errors import Damaged, VaultError
from tokenward_agent.vault.format import (
    FILE_BYTES,
    HEAD_BYTES,
    damaged_error,
    parse_body,
    parse_head,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward_agent.vault.body import Body
    from tokenward_agent.vault.format import Head
    from tokenward_agent.vault.sealing import Buffer
    from tokenward_agent.vault.storage import Storage


class EncryptedVault(NamedTuple):
    """A whole file: its head is read, its body is sealed."""

    head: Head
    data: bytes
    path: str

    def body(self, data_key: Buffer) -> Body:
        """Open the body. Raise VaultError if the key is wrong or the file was changed."""
        return parse_body(self.data, self.head, data_key, self.path)


def read_head(storage: Storage, provider: str) -> Head | None:
    """Read the head of *provider*'s vault; None if neither the file nor a previous one exists.

    Raise VaultError.
    """
    data = storage.read(HEAD_BYTES)
    if data is not None:
        return parse_head_of(data, storage.path, provider)
    if storage.read_previous(1) is not None:
        raise Damaged(
            f"{storage.path} is missing, but its previous generation exists.",
            f"`auth restore --previous` restores it; to start anew, remove {storage.path}.previous",
        )
    return None


def read_vault(storage: Storage, provider: str) -> EncryptedVault:
    """Read *provider*'s whole vault. Raise VaultError, also if the file does not exist."""
    data = storage.read(FILE_BYTES + 1)
    if data is None:
        raise VaultError("vault", f"{storage.path} does not exist.")
    if len(data) > FILE_BYTES:
        raise damaged_error(storage.path, f"it is larger than {FILE_BYTES >> 20} MiB")
    return EncryptedVault(parse_head_of(data, storage.path, provider), data, storage.path)


def parse_head_of(data: Buffer, path: str, provider: str) -> Head:
    """Parse a head and check its provider. Raise VaultError."""
    head = parse_head(data, path)
    if head.header.provider != provider:
        raise damaged_error(
            path, f"it is the vault of `{head.header.provider}`, not of `{provider}`"
        )
    return head
