"""Common to all jobs of workers: their failure, their limits, the encoding of keys and of variables.

Every job imports it, and the agent for the limits; it imports no module of the agent. A block of
variables is `NAME=VALUE` and a NUL for each.
"""

from __future__ import annotations

import base64
import binascii
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    Header = dict[str, Any]

KEY_SIZE: Final = 32
MAX_HEADER: Final = 64 * 1024
MAX_SECRET: Final = 64 * 1024
WATCHED: Final = 3
"""The descriptor of the requester's socket, in a worker that watches for a hang-up."""

UNATTENDED: Final = {"ARTIFACTS_KEYRING_NONINTERACTIVE_MODE": "true"}
"""Variables that tell plug-ins of keyring that no user is there, who could enter a device code."""


class JobError(Exception):
    """A job failed: a `code`, one sentence, and the command that helps or an empty string.

    Codes: `timeout`, `worker`, `not-found`, `no-keyring`, `keyring-locked`, `keyring-failed`,
    `program-failed`, `command`, `no-screen`.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


def require_fit(length: int, size: int, room: int) -> None:
    """Raise WorkerError for an answer whose header or secret is too long for its place."""
    if length > MAX_HEADER:
        raise WorkerError("worker", "A worker process answered with too long a header.")
    if size > room:
        raise WorkerError("worker", f"A worker process answered {size} bytes instead of {room}.")


def variables_of(block: bytes) -> dict[str, str]:
    """Return the variables in a block."""
    pairs = (os.fsdecode(each).partition("=") for each in block.split(b"\0") if each)
    return {name: value for name, _, value in pairs}


def encode_key(key: bytes) -> bytes:
    """Return *key* as text for the item of a keyring: base64 (RFC 4648)."""
    return base64.b64encode(key)


def decode_key(value: str | bytes, where: str) -> bytes:
    """Return the key of a keyring's item. Raises JobError."""
    try:
        key = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_SIZE:
        raise JobError("keyring-failed", f"The answer of {where} is not a vault's key.")
    return key


class WorkerError(JobError):
    """A failed job, as the agent sees it."""
