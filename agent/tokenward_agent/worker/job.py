"""What a worker's jobs have in common: how one fails, how much it may say, how keys are written.

Imported by whatever does a job, and by the agent for its limits; imports nothing of the agent itself.
"""

from __future__ import annotations

import base64
import binascii

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    Header = dict[str, Any]

KEY_SIZE: Final = 32
MAX_HEADER: Final = 64 * 1024
MAX_SECRET: Final = 64 * 1024
WATCHED: Final = 3
"""The descriptor of whoever asks, in a worker that is to see when they hang up."""


class JobError(Exception):
    """A job failed: a `code`, one sentence, and the command that helps if there is one."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


def encode_key(key: bytes) -> bytes:
    """Return *key* as the item of a keyring holds it: base64 (RFC 4648), since items are text."""
    return base64.b64encode(key)


def decode_key(value: str | bytes, where: str) -> bytes:
    """Return the key that an item holds. Raises JobError."""
    try:
        key = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_SIZE:
        raise JobError("keyring-failed", f"What {where} answered is not a vault's key.")
    return key
