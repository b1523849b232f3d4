"""A passphrase that the service manager hands to the agent: LoadCredential= of systemd.exec(5).

It is a file in the folder that ``CREDENTIALS_DIRECTORY`` names. Only this unit's processes see it,
and it is removed with the unit. With it the vault opens without the user. It is read by the
client's rules for such a file (`one_line` in secret_input.py), but in place: one line end and a
byte order mark are not part of it, and a file with two lines is refused.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from tokenward_agent.failure import Failure
from tokenward_agent.files import open_plain, read_into

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenward_agent.arena import Arena

NAME: Final = "tokenward-passphrase"
"""The credential's name in the unit."""

MAX_SIZE: Final = 64 * 1024
"""Bytes of the longest passphrase, as on the wire."""

_MARK = bytes((0xEF, 0xBB, 0xBF))
_UTF16 = (bytes((0xFF, 0xFE)), bytes((0xFE, 0xFF)))
_ENDS, _BLANKS = b"\r\n", b" \t\r\n\v\f"


class ServiceCredential:
    """The passphrase in `folder`; "" if there is no such folder."""

    def __init__(self, folder: str, arena: Arena) -> None:
        self._path = os.path.join(folder, NAME) if folder else ""
        self._arena = arena

    @property
    def is_present(self) -> bool:
        """Whether the service manager handed a passphrase over."""
        return bool(self._path) and os.path.lexists(self._path)

    @contextlib.contextmanager
    def borrow(self) -> Iterator[memoryview]:
        """Lend the passphrase, and wipe it after use. Raise Failure if it cannot be read."""
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
        f"The credential {NAME} of the service manager cannot be read: {why}.",
        "`auth unlock`",
    )
