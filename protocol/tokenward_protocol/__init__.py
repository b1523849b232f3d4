"""The wire between tokenward's agent and everything that asks it for a credential.

Frames, the msgpack subset of their headers, the vocabulary of requests and answers, the
canonical form of a service, and the places where both ends look for each other. Normative
text: docs/PROTOCOL.md.

This package does no I/O, reads no clock and no environment, and imports next to nothing: the
shortest command of the client loads it at every start.
"""

WIRE_VERSION = 1
"""The version that a request carries under `v`."""

VERSION = "0.1.0"
"""The distribution's version, said in `hello` and `status`."""
