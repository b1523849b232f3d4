"""What can be wrong with a frame, a header or an answer, by whose fault it is.

`RemoteError` is raised for bytes that the other end should not have sent, `LocalError` for a
message that we were asked to build and that the protocol forbids. Neither ever quotes a value
that a peer sent: it might be a secret in the wrong place.
"""

from __future__ import annotations


class ProtocolError(Exception):
    """A frame or message breaks docs/PROTOCOL.md; `code` is the code of an error answer."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RemoteError(ProtocolError):
    """The other end broke the protocol."""


class LocalError(ProtocolError):
    """We were asked to send what the protocol does not allow."""
