"""How a vault is saved: a change made upon what is on the disk, then a whole new file.

Under the file's lock, what is on the disk is compared with what this process read or wrote last. If
another agent saved meanwhile (a second container on one directory), its file is read and the change
made upon it, so no write is lost. The generation before is kept only if all its secrets and slots
are still in force: it is for damage and never for undo. A file that is gone, cannot be read or has
another key is an error and is never overwritten.

A save that brings no credential and takes none, made to note a use or what is known of the audit
log, leaves the generation before as it is: a copy of what is here already would be worth less.
"""

from __future__ import annotations

from typing import NamedTuple

from tokenward_agent.vault.body import Body  # noqa: TC001 - NamedTuple reads its annotations
from tokenward_agent.vault.errors import VaultError
from tokenward_agent.vault.file import head_of, read, read_head
from tokenward_agent.vault.format import Header, serialise
from tokenward_agent.vault.record import check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward_agent.vault.body import Records
    from tokenward_agent.vault.data_key import DataKey
    from tokenward_agent.vault.storage import Storage

    WholeChange = Callable[[Header, Body], tuple[Header, Body]]


class Prepared(NamedTuple):
    """A generation of a vault as a thread read or wrote it, to be adopted.

    `epoch` is that of the key when it began, `nonce` marks the save, `new_key` a rekeying.
    """

    epoch: int
    header: Header
    nonce: bytes
    body: Body
    new_key: memoryview | None = None


class VaultSaver:
    """Saves *provider*'s vault in *storage* under *key*. Keeps no state: any thread may call it."""

    def __init__(self, storage: Storage, provider: str, key: DataKey) -> None:
        self._storage = storage
        self._provider = provider
        self._key = key

    def save(
        self, known: Prepared, change: WholeChange, now: int, new_key: memoryview | None = None
    ) -> Prepared:
        """Write what *change* makes of the newest generation, which may be newer than *known*.

        With *new_key*, filled by *change*, the file is sealed under that one. Raises VaultError
        (`locked` if the vault was closed since *known*), ValueError for a record that a vault may
        not hold, and what *change* raises; then nothing was written.
        """
        with self._storage.locked() as writer:
            _, old, _, before, _ = self.newest(known)
            new, after = change(old, before._replace(records=dict(before.records)))
            for key, record in after.records.items():
                if record is not before.records.get(key):
                    check(record)
            seen = max(old.seen, known.header.seen, now)
            new = new._replace(generation=old.generation + 1, seen=seen)
            with self._key.use(known.epoch) as data_key:
                data = serialise(new, after, data_key if new_key is None else new_key)
            writer.replace(
                data, keep_previous=_keep_previous(old, before.records, new, after.records)
            )
        nonce = head_of(data, self._storage.path, self._provider).nonce
        return Prepared(known.epoch, new, nonce, after, new_key)

    def is_newest(self, known: Prepared) -> bool:
        """Tell whether the file is what is known. Raises VaultError."""
        head = read_head(self._storage, self._provider)
        return head is not None and (head.header, head.nonce) == (known.header, known.nonce)

    def newest(self, known: Prepared) -> Prepared:
        """Return what is on the disk, from memory if nobody else has written it. Raises VaultError."""
        path = self._storage.path
        if self.is_newest(known):
            return known
        if read_head(self._storage, self._provider) is None:
            raise VaultError(
                "vault",
                f"{path} was removed while it was in use; nothing was written.",
                "put it back, or start anew with `auth agent restart`",
            )
        sealed = read(self._storage, self._provider)
        with self._key.use(known.epoch) as key:
            try:
                head = sealed.head
                return Prepared(known.epoch, head.header, head.nonce, sealed.body(key))
            except VaultError as error:
                raise VaultError(
                    "vault",
                    f"{path} was replaced while it was in use; nothing was written.",
                    "`auth lock` and then `auth unlock` go on with the new one",
                ) from error


def _keep_previous(old: Header, before: Records, new: Header, after: Records) -> bool | None:
    """Tell whether the generation before opens to nothing that the new one does not.

    None if both open to the same, and to the same credentials.
    """
    secrets = {key: record.secret for key, record in after.items()}
    held = {key: record.secret for key, record in before.items()}
    if (held, old.slots) == (secrets, new.slots):
        return None
    return all(slot in new.slots for slot in old.slots) and held.items() <= secrets.items()
