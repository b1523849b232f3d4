"""One vault in memory and its file: absent, closed, open or broken.

The caller lends a view for the data key (32 bytes of an arena); the records hold sealed secrets.
Closing wipes the key, and what is left does not open.

Methods that touch the disk are for a thread: they change nothing here and return a `Prepared`,
which the caller passes to `adopt` on the thread that reads the records. Only one such pair may run
at a time for a vault; reading and `close` need not wait. A vault that was closed meanwhile stays
closed: the save is on the disk, and `adopt` returns False. file.py has the rules of a save, and
says why a change may be applied more than once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tokenward_agent.vault.body import Body, key_context
from tokenward_agent.vault.data_key import DataKey
from tokenward_agent.vault.errors import VaultError
from tokenward_agent.vault.file import Prepared, VaultSaver, parse_head_of, read_head, read_vault
from tokenward_agent.vault.format import Header, damaged_error, new_vault_id, serialise
from tokenward_agent.vault.record import secret_context
from tokenward_agent.vault.sealing import Tampered, fill_random, open_into, seal
from tokenward_agent.vault.slot import unwrap_into, wrap

__all__ = ["Prepared", "Vault"]

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenward_agent.vault.body import AuditAnchor, MakeAnchors, Records
    from tokenward_agent.vault.file import WholeChange
    from tokenward_agent.vault.record import Key, Record
    from tokenward_agent.vault.sealing import Buffer
    from tokenward_agent.vault.slot import Param, Slot
    from tokenward_agent.vault.storage import Storage

    Change = Callable[[Records], Records]
    State = Literal["absent", "closed", "open", "broken"]


class Vault:
    """The vault of a *provider* in *storage*; *data_key* is 32 writable bytes, lent for good.

    `problem` says why the vault is broken. `header` is the file's header as last read or written,
    None if the vault is absent or broken.
    """

    def __init__(self, storage: Storage, provider: str, data_key: memoryview) -> None:
        self.storage = storage
        self.provider = provider
        self.state: State = "absent"
        self.problem: VaultError | None = None
        self.header: Header | None = None
        self._key = DataKey(data_key, provider)
        self._saver = VaultSaver(storage, provider, self._key)
        self._nonce = b""
        self._body = Body({})
        self._used: dict[Key, int] = {}
        self.make_anchors: Callable[[], MakeAnchors | None] = lambda: None
        """Called before each save, while the key is not in use; returns what makes the chains."""

    def __repr__(self) -> str:
        return f"Vault({self.provider}, {self.state})"

    @property
    def latest_time(self) -> int:
        """The latest wall time that the vault has seen, in seconds."""
        return 0 if self.header is None else self.header.seen

    @property
    def records(self) -> Mapping[Key, Record]:
        """The records of an open vault by key, without later uses; see `last_used`."""
        return self._body.records

    @property
    def chains(self) -> tuple[AuditAnchor, ...]:
        """The chains of audit logs that an open vault knows."""
        return self._body.chains

    def last_used(self, record: Record) -> int | None:
        """Return the time of a record's last use, saved or not."""
        return self._used.get(record.key, record.last_used)

    def use(self, record: Record, wall: int) -> None:
        """Remember a use of a record, for the next save."""
        self._used[record.key] = wall

    def seal(self, service: str, username: str, secret: Buffer) -> bytes:
        """Seal a secret for a record. Raises VaultError with code `locked` if not open.

        Call it inside a change, or after the last `adopt`: that may have brought a new key.
        """
        with self._key.use() as key:
            return seal(key, secret, secret_context(self._id(), service, username))

    def open_secret(self, record: Record, out: memoryview) -> int:
        """Open a record's secret into *out* and return its size in bytes.

        Raises VaultError: `locked` if not open, `vault` if the secret does not open.
        """
        if record.secret is None:
            raise ValueError("an adopted credential has no secret in the vault")
        place = secret_context(self._id(), record.service, record.username)
        return self._open(record.secret, place, out, f"the secret of {record.service}")

    def open_chain(self, entry: AuditAnchor, out: memoryview) -> int:
        """Open the key of a chain into *out*; return its size. Raises as `open_secret`."""
        place = key_context(self._id(), entry.name, entry.first)
        return self._open(entry.key, place, out, f"the key of the chain {entry.name}")

    def _open(self, sealed: bytes, place: bytes, out: memoryview, what: str) -> int:
        try:
            with self._key.use() as key:
                return open_into(key, sealed, place, out)
        except Tampered:
            raise damaged_error(self.storage.path, f"{what} does not open") from None

    def wrap_key(self, kind: str, params: Mapping[str, Param], slot_key: Buffer) -> Slot:
        """Return a slot that opens to the data key. Raises VaultError with code `locked`."""
        with self._key.use() as key:
            return wrap(kind, params, slot_key, key, self._id())

    def close(self) -> None:
        """Wipe the data key and forget the records; only an open vault changes its state."""
        self._key.wipe()
        self._body, self._used = Body({}), {}
        if self.state == "open":
            self.state = "closed"

    def install(self, prepared: Prepared) -> bool:
        """Take over what a thread prepared; return False if the vault was closed meanwhile."""
        if not self._key.take(prepared.epoch, prepared.new_key):
            return False
        self.header, self._nonce, self._body = prepared[1:4]
        saved = {key: record.last_used or 0 for key, record in self.records.items()}
        self._used = {k: wall for k, wall in self._used.items() if wall > saved.get(k, wall)}
        self.state, self.problem = "open", None
        return True

    def install_header(self, found: Header | VaultError | None) -> None:
        """Take over the result of `read_header`; an open vault stays open."""
        if self.state == "open":
            return
        self.header, self.problem = None, None
        if found is None:
            self.state = "absent"
        elif isinstance(found, VaultError):
            self.state, self.problem = "broken", found
        else:
            self.state, self.header = "closed", found

    def read_header(self) -> Header | VaultError | None:
        """Read the header; return it, or the error, or None if the vault is absent."""
        try:
            head = read_head(self.storage, self.provider)
        except VaultError as error:
            return (
                None if self.storage.is_absent() else error
            )  # the folder is unusable, and has no vault
        return None if head is None else head.header

    def create(
        self, kind: str, params: Mapping[str, Param], slot_key: Buffer, now: int, vault_id: str = ""
    ) -> Prepared:
        """Create the vault with one slot; *vault_id* if the slot's key is stored under it already.

        Raises VaultError if the file exists or cannot be written.
        """
        epoch, vault_id = self._key.epoch, vault_id or new_vault_id()
        with self.storage.lock() as writer:
            if read_head(self.storage, self.provider) is not None:
                path = self.storage.path
                raise VaultError("vault", f"{path} exists already.", "`auth unlock`")
            vouch = self.make_anchors()
            with self._key.fill() as key:
                fill_random(key)
                slot = wrap(kind, params, slot_key, key, vault_id)
                header = Header(vault_id, self.provider, 1, now, (slot,))
                body = Body({}, vouch(vault_id, (), key) if vouch else ())
                data = serialise(header, body, key)
            try:
                writer.replace(data, keep_previous=True)
            except BaseException:
                self._key.wipe()
                raise
        return Prepared(
            epoch, header, parse_head_of(data, self.storage.path, self.provider).nonce, body
        )

    def open(self, kind: str, slot_key: Buffer) -> Prepared:
        """Open a closed vault by its slot of this kind.

        Raises WrongKey, or VaultError if there is no such slot or the file cannot be read; then the
        data key is wiped.
        """
        epoch = self._key.epoch
        sealed = read_vault(self.storage, self.provider)
        header = sealed.head.header
        slot = header.slot(kind)
        if slot is None:
            raise VaultError(
                "vault",
                f"{self.storage.path} has no {kind} slot to open it with.",
                "`auth status` shows what opens it",
            )
        with self._key.fill() as key:
            unwrap_into(slot, slot_key, header.vault_id, key)
            body = sealed.body(key)
        return Prepared(epoch, header, sealed.head.nonce, body)

    def save(self, change: Change, now: int) -> Prepared:
        """Apply *change* to the records and save them; *now* is the wall time in seconds.

        *change* gets its own dict, and returns that or another; it may be called again with the
        records of another agent. If it raises, nothing is written. Raises VaultError, and ValueError
        for a record that a vault may not hold.
        """
        return self.write(
            lambda header, body: (header, body._replace(records=change(body.records))), now
        )

    def write(self, change: WholeChange, now: int, new_key: memoryview | None = None) -> Prepared:
        """Do the same for header and records; seal under *new_key* if *change* fills it."""
        used, known = dict(self._used), self._current()

        def vouching(header: Header, body: Body) -> tuple[Header, Body]:
            header, body = change(header, body.with_uses(used))
            if vouch := self.make_anchors():
                with self._key.use() as key:
                    chains = vouch(header.vault_id, body.chains, new_key or key)
                body = body._replace(chains=chains)
            return header, body

        return self._saver.save(known, vouching, now, new_key)

    def is_newest(self) -> bool:
        """Tell whether the file is as last read or written. Raises VaultError."""
        return self._saver.is_newest(self._current())

    def reread(self) -> Prepared:
        """Read what another agent saved since, for `adopt`. Raises VaultError."""
        return self._saver.read_newest(self._current())

    def _current(self) -> Prepared:
        if self.header is None or not self._key.held:
            raise self._key.closed_error()
        return Prepared(self._key.epoch, self.header, self._nonce, self._body)

    def _id(self) -> str:
        return self._current().header.vault_id
