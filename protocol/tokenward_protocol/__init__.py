"""The wire protocol between tokenward's agent and its clients.

Frames, the msgpack subset of their headers, the vocabulary of requests and answers, the
canonical form of a service, and the addresses at which clients find the agent. Normative
text: docs/PROTOCOL.md.

This package does no I/O, reads no clock and no environment, and imports almost nothing: the
shortest command of the client loads it at every start. Its errors say whose fault it is, and never
quote a value that a peer sent: it might be a secret in the wrong place.
"""

from __future__ import annotations

WIRE_VERSION = 1
"""The version that a request carries under `v`."""

VERSION = "0.2.0"
"""The distribution's version, sent in `hello` and `status`."""


class ProtocolError(Exception):
    """A frame or message breaks docs/PROTOCOL.md; `code` is that of an error answer."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RemoteError(ProtocolError):
    """The peer broke the protocol."""


class LocalError(ProtocolError):
    """Our own caller asked for a message that the protocol does not allow."""
