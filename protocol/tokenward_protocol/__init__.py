"""The wire protocol between tokenward's agent and its clients.

Frames, the msgpack subset of their headers, the vocabulary of requests and answers, the
canonical form of a service, and the addresses at which clients find the agent. Normative
text: docs/PROTOCOL.md.

This package does no I/O, reads no clock and no environment, and imports almost nothing: the
shortest command of the client loads it at every start.
"""

WIRE_VERSION = 1
"""The version that a request carries under `v`."""

VERSION = "0.1.0"
"""The distribution's version, sent in `hello` and `status`."""
