"""A vault's file, read: its head alone, or all of it once there is a key.

Holds the file to the provider that it was found under: a vault copied over another's is refused.
"""

from __future__ import annotations

from typing import NamedTuple

from tokenward_agent.vault.errors import Damaged, VaultError
from tokenward_agent.vault.format import FILE_BYTES, HEAD_BYTES, broken, parse_body, parse_head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward_agent.vault.body import Body
    from tokenward_agent.vault.format import Head
    from tokenward_agent.vault.sealing import Buffer
    from tokenward_agent.vault.storage import Storage


class Sealed(NamedTuple):
    """A whole file, its head read and its body still sealed."""

    head: Head
    data: bytes
    path: str

    def body(self, data_key: Buffer) -> Body:
        """Open the body. Raises VaultError if the key is not its key or it was changed."""
        return parse_body(self.data, self.head, data_key, self.path)


def read_head(storage: Storage, provider: str) -> Head | None:
    """Read the head of *provider*'s vault, None if there is no file nor one before it.

    Raises VaultError.
    """
    data = storage.read(HEAD_BYTES)
    if data is not None:
        return head_of(data, storage.path, provider)
    if storage.read_previous(1) is not None:
        raise Damaged(
            f"{storage.path} is missing, but the generation before it is there.",
            "`auth restore --previous` puts that in its place; to start anew, remove"
            f" {storage.path}.previous",
        )
    return None


def read(storage: Storage, provider: str) -> Sealed:
    """Read all of *provider*'s vault. Raises VaultError, also if there is no file."""
    data = storage.read(FILE_BYTES + 1)
    if data is None:
        raise VaultError("vault", f"{storage.path} is not there.")
    if len(data) > FILE_BYTES:
        raise broken(storage.path, f"it is larger than {FILE_BYTES >> 20} MiB")
    return Sealed(head_of(data, storage.path, provider), data, storage.path)


def head_of(data: Buffer, path: str, provider: str) -> Head:
    """Parse a head and hold it to its provider. Raises VaultError."""
    head = parse_head(data, path)
    if head.header.provider != provider:
        raise broken(path, f"it is the vault of `{head.header.provider}`, not of `{provider}`")
    return head
