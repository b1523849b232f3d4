"""What opens a vault, in files: keys of slots, and a passphrase of the service manager.

A key is as it is, or protected by DPAPI on Windows. Its file is in the state folder of the
credentials directory, never in that directory: a copy of the directory alone opens nothing. A key is
read into the caller's memory and is never an object here.

A passphrase (LoadCredential= of systemd.exec(5)) is a file in the folder that
``CREDENTIALS_DIRECTORY`` names. Only this unit's processes see it, and it is removed with the unit.
With it the vault opens without the user. It is read by the client's rules for such a file (`one_line`
in secret_input.py), but in place: one line end and a byte order mark are not part of it, and a file
with two lines is refused.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Final

from tokenward_agent.failure import Failure
from tokenward_agent.files import open_plain, read_into, replace
from tokenward_agent.vault.sealing import KEY_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenward_agent.arena import Arena

BY_ITSELF: Final = "dpapi" if sys.platform == "win32" else "key-file"
"""The slot of a vault that opens without the user if there is no system keyring."""

_ENDINGS: Final = {"key-file": "key", "dpapi": "dpapi"}
_PROTECTED_BYTES: Final = 4096
_FOREIGN: Final = "The vault opens by DPAPI, only for the Windows user that made it."


CREDENTIAL: Final = "tokenward-passphrase"  # the credential's name in the unit
MAX_SIZE: Final = 64 * 1024  # bytes of the longest passphrase, as on the wire
_MARK = bytes((0xEF, 0xBB, 0xBF))
_UTF16 = (bytes((0xFF, 0xFE)), bytes((0xFE, 0xFF)))
_ENDS, _BLANKS = b"\r\n", b" \t\r\n\v\f"


class KeyFiles:
    """The key files in the folder `state`, by the kind of the slot and the vault's id."""

    def __init__(self, state: str) -> None:
        self._state = state

    def read(self, kind: str, vault_id: str, key: memoryview) -> None:
        """Read the key of a slot into `key`. Raises Failure."""
        path = self._path(kind, vault_id)
        if kind == "dpapi" and sys.platform != "win32":
            raise Failure("provider", _FOREIGN)
        try:
            file = open_plain(path)
            try:
                whole = _read_protected(file, key) if kind == "dpapi" else _read_plain(file, key)
            finally:
                os.close(file)
        except OSError as error:
            raise Failure(
                "provider",
                f"The key file {path} cannot be read: {error.strerror}.",
                "restore it from a backup, or move the vault away and log in again",
            ) from None
        if not whole:
            raise Failure("provider", f"The key file {path} is not {KEY_SIZE} bytes long.")

    def write(self, kind: str, vault_id: str, key: memoryview) -> None:
        """Write the key of a new slot, flushed to the disk. Raises Failure."""
        path = self._path(kind, vault_id)
        try:
            replace(path, _protect(key) if kind == "dpapi" else key)
        except OSError as error:
            raise Failure(
                "provider", f"The key file {path} cannot be written: {error.strerror}."
            ) from None

    def remove(self, kind: str, vault_id: str) -> None:
        """Remove the key of a slot that no longer exists."""
        with contextlib.suppress(OSError):
            os.unlink(self._path(kind, vault_id))

    def _path(self, kind: str, vault_id: str) -> str:
        return os.path.join(self._state, f"{vault_id}.{_ENDINGS[kind]}")


def _read_plain(file: int, key: memoryview) -> bool:
    return read_into(file, key) == KEY_SIZE and not os.read(file, 1)


def _read_protected(file: int, key: memoryview) -> bool:
    if sys.platform != "win32":
        raise Failure("provider", _FOREIGN)
    from tokenward_agent.windows import dpapi

    return dpapi.open_into(os.read(file, _PROTECTED_BYTES), key) == KEY_SIZE


def _protect(key: memoryview) -> bytes:
    if sys.platform != "win32":
        raise Failure(
            "provider", "DPAPI exists only on Windows.", "use a slot of the kind `key-file`"
        )
    from tokenward_agent.windows import dpapi

    return dpapi.protect(key)


class ServiceCredential:
    """The passphrase in `folder`; "" if there is no such folder."""

    def __init__(self, folder: str, arena: Arena) -> None:
        self._path = os.path.join(folder, CREDENTIAL) if folder else ""
        self._arena = arena

    @property
    def is_present(self) -> bool:
        """Whether the service manager handed a passphrase over."""
        return bool(self._path) and os.path.lexists(self._path)

    @contextlib.contextmanager
    def borrow(self) -> Iterator[memoryview]:
        """Lend the passphrase, and wipe it after use. Raises Failure if it cannot be read."""
        try:
            file = open_plain(self._path)
        except OSError as error:
            raise _unreadable_error(str(error.strerror)) from None
        try:
            size = os.fstat(file).st_size
            if not 0 < size <= MAX_SIZE:
                raise _unreadable_error("it is empty" if not size else "it is too long")
            block = self._arena.allocate(size)
            try:
                got = read_into(file, block)
                yield _first_line(block[:got])
            finally:
                self._arena.release(block)
        finally:
            os.close(file)


def _first_line(block: memoryview) -> memoryview:
    if block[:2] in _UTF16:
        raise _unreadable_error("it is UTF-16 text")
    if block[: len(_MARK)] == _MARK:
        block = block[len(_MARK) :]
    end = next((at for at, byte in enumerate(block) if byte in _ENDS), len(block))
    if any(byte not in _BLANKS for byte in block[end:]):
        raise _unreadable_error("it holds more than one line")
    if not end:
        raise _unreadable_error("it is empty")
    return block[:end]


def _unreadable_error(why: str) -> Failure:
    return Failure(
        "provider",
        f"The credential {CREDENTIAL} of the service manager cannot be read: {why}.",
        "`auth unlock`",
    )
