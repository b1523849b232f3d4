"""Errors of frames, headers and answers, by whose fault it is.

`RemoteError` is for bytes that the peer should not have sent, `LocalError` for a message that our
own caller asked for and that the protocol forbids. Neither ever quotes a value that a peer sent: it
might be a secret in the wrong place.
"""

from __future__ import annotations


class ProtocolError(Exception):
    """A frame or message breaks docs/PROTOCOL.md; `code` is that of an error answer."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RemoteError(ProtocolError):
    """The peer broke the protocol."""


class LocalError(ProtocolError):
    """Our own caller asked for a message that the protocol does not allow."""
