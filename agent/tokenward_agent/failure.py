"""A request that failed, in the words of the answer, and how an internal error is reported.

Any part of the agent raises `Failure`; requests/dispatch.py alone makes an answer of it. The
message is one sentence, the hint a phrase with the command that helps; neither ever holds a secret.
An internal error is reported by its type and its line, never by its text: that, and the values in
the frames that it passed through, may be a secret.
"""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tokenward_protocol.packing import Value


class Failure(Exception):  # noqa: N818 - the protocol's own word would be "not ok"
    """A request that failed, with the content of its answer."""

    def __init__(self, code: str, message: str, hint: str = "", **more: Value) -> None:
        super().__init__(message)
        self.code, self.hint, self.more = code, hint, more


class SecretSource(Protocol):
    """A secret that is sealed while in memory, as `sealed`, and of `size` bytes when open."""

    sealed: bytes
    size: int

    def open_into(self, view: memoryview) -> None:
        """Write the secret into `view`. Raises KeyDestroyed if its key was wiped."""
        ...


class KeyDestroyed(Exception):  # noqa: N818 - an outcome, not an error
    """The key of a sealed secret was destroyed before it could be sent."""


def describe_fault(error: object) -> str:
    """Name the type of an exception and the line that raised it, and nothing of its content."""
    if not isinstance(error, BaseException):
        return "unknown"
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
