"""A vault's file: read its head or all of it, and save a change to its newest generation.

Refuses a file of another provider: a vault that was copied over another one is not read.

A save writes a whole new file. Under the file's lock, the file is compared with what this process last
read or wrote. If another agent saved meanwhile (a second container on one directory), its file is read
and the change applied to that, so no write is lost. The previous generation is kept only if all its
secrets and slots are still in force: it is for damage, not for undo. A file that is missing,
unreadable or under another key is an error and is never overwritten.

A save that changes no credential (it notes a use, or what is known of the audit log) leaves the
previous generation as it is: a copy of the present one would be worth less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tokenward_agent.vault.body import Body
from tokenward_agent.vault.errors import Damaged, VaultError
from tokenward_agent.vault.format import (
    FILE_BYTES,
    HEAD_BYTES,
    Header,
    damaged_error,
    parse_body,
    parse_head,
    serialise,
)
from tokenward_agent.vault.record import check
from tokenward_protocol.messages import vault_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward_agent.vault.body import Body, Records
    from tokenward_agent.vault.data_key import DataKey
    from tokenward_agent.vault.format import Head
    from tokenward_agent.vault.sealing import Buffer
    from tokenward_agent.vault.storage import Storage

    WholeChange = Callable[[Header, Body], tuple[Header, Body]]


class EncryptedVault(NamedTuple):
    """A whole file: its head is read, its body is sealed."""

    head: Head
    data: bytes
    path: str

    def body(self, data_key: Buffer) -> Body:
        """Open the body. Raises VaultError if the key is wrong or the file was changed."""
        return parse_body(self.data, self.head, data_key, self.path)


def read_head(storage: Storage, provider: str) -> Head | None:
    """Read the head of *provider*'s vault; None if no generation exists. Raises VaultError."""
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
    """Read *provider*'s whole vault. Raises VaultError, also if the file does not exist."""
    data = storage.read(FILE_BYTES + 1)
    if data is None:
        raise VaultError("vault", f"{storage.path} does not exist.")
    if len(data) > FILE_BYTES:
        raise damaged_error(storage.path, f"it is larger than {FILE_BYTES >> 20} MiB")
    return EncryptedVault(parse_head_of(data, storage.path, provider), data, storage.path)


def parse_head_of(data: Buffer, path: str, provider: str) -> Head:
    """Parse a head and check its provider. Raises VaultError."""
    head = parse_head(data, path)
    if head.header.provider != provider:
        raise damaged_error(
            path, f"it is the {vault_name(head.header.provider)}, not the {vault_name(provider)}"
        )
    return head


class Prepared(NamedTuple):
    """A generation of a vault that a thread read or wrote, to be adopted.

    `epoch` is the key's at the start, `nonce` identifies the save, `new_key` is set by a rekeying.
    """

    epoch: int
    header: Header
    nonce: bytes
    body: Body
    new_key: memoryview | None = None


class VaultSaver:
    """Saves *provider*'s vault in *storage* under *key*. Has no state: any thread may call it."""

    def __init__(self, storage: Storage, provider: str, key: DataKey) -> None:
        self._storage, self._provider, self._key = storage, provider, key

    def save(
        self, known: Prepared, change: WholeChange, now: int, new_key: memoryview | None = None
    ) -> Prepared:
        """Apply *change* to the newest generation, which may be newer than *known*, and write it.

        If *change* fills *new_key*, the file is sealed under that. Raises VaultError (`locked` if
        the vault was closed since *known*), ValueError for a record that a vault may not hold, and
        what *change* raises; then nothing was written.
        """
        with self._storage.lock() as writer:
            _, old, _, before, _ = self.read_newest(known)
            # `change` gets a copy, so that the records of before can be compared with it below.
            new, after = change(old, before._replace(records=dict(before.records)))
            for key, record in after.records.items():
                if record is not before.records.get(key):
                    check(record)
            # Neither the clock of another agent nor this one may take the vault back in time.
            seen = max(old.seen, known.header.seen, now)
            new = new._replace(generation=old.generation + 1, seen=seen)
            # Fails if the vault was closed meanwhile: nothing is written after a lock.
            with self._key.use(known.epoch) as data_key:
                data = serialise(new, after, data_key if new_key is None else new_key)
            writer.replace(
                data, keep_previous=_keep_previous(old, before.records, new, after.records)
            )
        nonce = parse_head_of(data, self._storage.path, self._provider).nonce
        return Prepared(known.epoch, new, nonce, after, new_key)

    def is_newest(self, known: Prepared) -> bool:
        """Tell whether the file is the known one. Raises VaultError."""
        head = read_head(self._storage, self._provider)
        return head is not None and (head.header, head.nonce) == (known.header, known.nonce)

    def read_newest(self, known: Prepared) -> Prepared:
        """Return the generation on the disk, or *known* if it is that. Raises VaultError."""
        path = self._storage.path
        if self.is_newest(known):
            return known
        if read_head(self._storage, self._provider) is None:
            raise VaultError(
                "vault",
                f"{path} was removed while it was open; nothing was written.",
                "put it back, or `auth agent restart` to start anew",
            )
        sealed = read_vault(self._storage, self._provider)
        with self._key.use(known.epoch) as key:
            try:
                head = sealed.head
                # The data key must open it: a file under another key is not another agent's save.
                return Prepared(known.epoch, head.header, head.nonce, sealed.body(key))
            except VaultError as error:
                raise VaultError(
                    "vault",
                    f"{path} was replaced while it was open; nothing was written.",
                    "`auth lock` and then `auth unlock` open the new one",
                ) from error


def _keep_previous(old: Header, before: Records, new: Header, after: Records) -> bool | None:
    """Tell whether the new generation opens all that the old one does; None if just the same."""
    secrets = {key: record.secret for key, record in after.items()}
    held = {key: record.secret for key, record in before.items()}
    # Sealing is randomised, so the same sealed bytes are the same secret under the same key.
    if (held, old.slots) == (secrets, new.slots):
        return None
    return all(slot in new.slots for slot in old.slots) and held.items() <= secrets.items()
