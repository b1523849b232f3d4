"""Exports: every credential in a file that opens by a passphrase of its own, on any machine.

docs/EXPORT.md is the format. Everything is checked before any of it is used: a file that differs in
any way is refused, with the difference in the message. The callers read and write files; the key
derivation takes 64 MiB and a moment. This imports the cryptography and msgpack packages, so only
commands that need it import it.

Each secret is fetched by exactly its service and user name. An adopted credential is exported
without a secret, because its home is a keyring; one that a command makes as its recipe. An export
is complete or is not made, except for sealed credentials: they are never shown, and reported as
left out. A restore keeps what is stored, unless the user says `--replace`; expired credentials are
left out.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import msgpack
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from tokenward.credentials import storing
from tokenward.credentials.bulk_store import FAILED, ImportOutcome
from tokenward.credentials.listing import list_stored
from tokenward.credentials.storing import entry_name, fetch_stored
from tokenward.errors import CommandError
from tokenward.ui.formatting import capitalise, count_of, credential_text
from tokenward_protocol.light import Record
from tokenward_protocol.messages import COMMAND, vaults_are
from tokenward_protocol.passphrases import ARGON2ID, LIMITS, SALT_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward.credentials.bulk_store import Takeover
    from tokenward.session import Session


VERSION = 2
"""The newest version that is read. Only an export with a recipe has it: 0.1 would take that for a password."""

MAGIC = b"tokenward-export "
MAX_FILE = 64 * 1024 * 1024
"""The maximum length of an export in bytes."""

MAX_HEADER = 1024
_NONCE, _TAG, _SUM = 12, 16, 32
_TIMES = 2**53 - 1


class WrongPassphraseError(CommandError):
    """The passphrase does not open the file."""


@dataclass(frozen=True, slots=True)
class ExportEntry:
    """One credential. Times are in seconds since 1970; `secret` is None if it was adopted."""

    service: str
    username: str
    created: int
    expires: int | None
    provider: str
    secret: bytes | None = field(repr=False)


class EncryptedExport(Record):
    """An export that is whole, but still closed: the inputs of its key, and the sealed body."""

    name: str
    salt: bytes
    cost: dict[str, int]
    created: int
    before: bytes
    body: bytes

    def open(self, passphrase: bytes) -> list[ExportEntry]:
        """Open it. Raises WrongPassphraseError, and CommandError for malformed contents."""
        aead = ChaCha20Poly1305(_derive_key(passphrase, self.salt, self.cost))
        try:
            body = aead.decrypt(self.body[:_NONCE], self.body[_NONCE:], self.before)
        except InvalidTag:
            body = None
        if body is None:  # outside the handler, so that no exception keeps the data alive
            raise WrongPassphraseError(f"The passphrase does not open {self.name}.")
        return _entries(body, self.name)


def is_export(start: bytes) -> bool:
    """Return whether a file that begins so is an export, of any version."""
    return start.startswith(MAGIC)


def encrypt_export(entries: list[ExportEntry], passphrase: bytes, now: int) -> bytes:
    """Return the bytes of an export; `now` is in seconds since 1970. Raises CommandError."""
    records = [[e.service, e.username, e.created, e.expires, e.provider, e.secret] for e in entries]
    return _encrypt(records, passphrase, now, os.urandom(SALT_SIZE), os.urandom(_NONCE))


def _encrypt(
    records: list[list[Any]], passphrase: bytes, now: int, salt: bytes, nonce: bytes
) -> bytes:
    body = _pack({"records": records})
    size = _NONCE + len(body) + _TAG
    header = _pack({"created": now, "salt": salt, **ARGON2ID, "size": size})
    version = 2 if any(record[4] == COMMAND for record in records) else 1
    before = MAGIC + f"{version}\n".encode() + len(header).to_bytes(4) + header
    aead = ChaCha20Poly1305(_derive_key(passphrase, salt, ARGON2ID))
    whole = before + nonce + aead.encrypt(nonce, body, before)
    if len(whole) + _SUM > MAX_FILE:
        raise CommandError(f"The export would be longer than {MAX_FILE} bytes.")
    return whole + sha256(whole).digest()


def parse_export(data: bytes, name: str) -> EncryptedExport:
    """Check the bytes of a file with this name. Raises CommandError."""
    if not is_export(data):
        raise CommandError(f"{name} is not an export of tokenward.", "`auth export FILE` makes one")
    line, newline, rest = data.partition(b"\n")
    version = line.removeprefix(MAGIC)
    if not newline or not version.isdigit() or len(version) > 9:
        raise _damaged_error(name)
    if not 1 <= int(version) <= VERSION:
        raise CommandError(
            f"{name} is an export of version {int(version)}, and this tokenward reads up to {VERSION}.",
            "restore it with a newer tokenward",
        )
    length = int.from_bytes(rest[:4])
    if len(rest) < 4 + length <= 4 + MAX_HEADER or len(rest) < 4:
        raise _truncated_error(name)
    start = len(line) + 5 + length
    header = _header(rest[4 : 4 + length], name) if length <= MAX_HEADER else None
    if header is None:
        raise _damaged_error(name)
    end = start + header["size"]
    if len(data) < end + _SUM:
        raise _truncated_error(name)
    if data[end:] != sha256(data[:end]).digest():
        raise _damaged_error(name)
    cost = {key: header[key] for key in ARGON2ID}
    return EncryptedExport(
        name, header["salt"], cost, header["created"], data[:start], data[start:end]
    )


def _header(data: bytes, name: str) -> dict[str, Any] | None:
    """Return a header that is as the format has it, None for any other."""
    header = _unpack(data, name)
    if not isinstance(header, dict) or header.keys() != {"created", "salt", "size", *ARGON2ID}:
        return None
    salt = header["salt"]
    limits = {**LIMITS, "created": (0, _TIMES), "size": (_NONCE + _TAG, MAX_FILE)}
    good = all(_is_number(header[key], *span) for key, span in limits.items())
    return header if good and isinstance(salt, bytes) and len(salt) == SALT_SIZE else None


def _entries(body: bytes, name: str) -> list[ExportEntry]:
    value = _unpack(body, name)
    records = value.get("records") if isinstance(value, dict) and len(value) == 1 else None
    if not isinstance(records, list):
        raise _damaged_error(name)
    return [_entry(record, name) for record in records]


def _entry(record: Any, name: str) -> ExportEntry:
    if not isinstance(record, list) or len(record) != 6:
        raise _damaged_error(name)
    service, username, created, expires, provider, secret = record
    texts = all(isinstance(text, str) for text in (service, username, provider))
    times = _is_number(created, 0, _TIMES) and (expires is None or _is_number(expires, 0, _TIMES))
    if not texts or not times or not isinstance(secret, bytes | None):
        raise _damaged_error(name)
    return ExportEntry(service, username, created, expires, provider, secret)


def _pack(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value)  # pyright: ignore[reportAssignmentType] - never None here
    return packed


def _unpack(data: bytes, name: str) -> Any:
    try:
        return msgpack.unpackb(data, strict_map_key=True, object_pairs_hook=_unique, max_ext_len=0)
    except (ValueError, msgpack.UnpackException):
        pass  # raised below: the exception may hold the data
    raise _damaged_error(name)


def _unique(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _derive_key(passphrase: bytes, salt: bytes, cost: dict[str, int]) -> bytes:
    return Argon2id(
        salt=salt,
        length=32,
        iterations=cost["passes"],
        lanes=cost["lanes"],
        memory_cost=cost["memory"],
    ).derive(passphrase)


def _is_number(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _damaged_error(name: str) -> CommandError:
    return CommandError(
        f"{name} is damaged, or it was changed after the export.",
        "nothing was restored; take another copy of it",
    )


def _truncated_error(name: str) -> CommandError:
    return CommandError(
        f"{name} is truncated: its end is missing.", "nothing was restored; take another copy of it"
    )


EXPIRED = "expired"


def collect(session: Session) -> list[ExportEntry]:
    """Return every credential. Raises CommandError if some cannot be seen."""
    described, closed = list_stored(session)
    if closed:
        raise CommandError(
            f"The {vaults_are(closed)} not open, so not every credential can be exported.",
            "`auth unlock`",
        )
    if not described:
        raise CommandError("Nothing is stored, so there is nothing to export.", "`auth login`")
    for one in described:
        if one["sealed"]:
            what = credential_text(one["username"], one["service"])
            session.terminal.warn(f"Not exported, because it is sealed: {what}.")
    shown = [one for one in described if not one["sealed"]]
    with session.terminal.at_work(f"Reading {count_of(len(shown), 'credential')} ..."):
        return [entry for one in shown if (entry := _with_secret(session, one))]


def _with_secret(session: Session, one: dict[str, Any]) -> ExportEntry | None:
    """Return an entry of `list` with its secret; None if it was removed in the meantime."""
    service, username = one["service"], one["username"]
    secret = None
    if one["provider"] == COMMAND:  # there is no secret to export
        said = session.ask_once("describe", service=service, username=username).header
        secret = json.dumps(said["recipe"]).encode()
    elif not one["adopted"]:
        secret = fetch_stored(session, service, username, None, entry_name(one.get("projects")))
        if secret is None:
            return None
    expires = None if one["provider"] == COMMAND else one["expires"]
    return ExportEntry(service, username, one["created"], expires, one["provider"], secret)


def bring_back(takeover: Takeover, entry: ExportEntry, now: int) -> ImportOutcome:
    """Store one again; `now` is in seconds since 1970. Its own errors are in the outcome."""
    if entry.secret is None:
        return takeover.adopt(entry.service, entry.username, entry.provider)
    lifetime = None if entry.expires is None else entry.expires - now
    name = credential_text(entry.username, entry.service)
    over = ImportOutcome(EXPIRED, f"Not restored, because it has expired: {name}.")
    if lifetime is not None and lifetime <= 0:
        return over
    try:
        body, _ = storing.check_secret_for((entry.service,), entry.username, entry.secret)
    except storing.ExpiredError:
        return over
    except CommandError as refused:
        return ImportOutcome(
            FAILED, f"{capitalise(name)} was not restored: {refused}", refused.hint
        )
    return takeover.take(entry.service, entry.username, body, lifetime=lifetime)
