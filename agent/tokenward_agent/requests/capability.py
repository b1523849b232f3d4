"""The capability of a run: what its command shows to the relay, worth nothing at any other place.

The relay gets it when it starts, and the command from the agent's answer. The agent itself keeps
its digest alone.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import NamedTuple

from tokenward_agent.vault.sealing import context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from tokenward_agent.arena import Arena
    from tokenward_agent.failure import SecretSource
    from tokenward_agent.relay.process import RelayProcess
    from tokenward_agent.store.memory_records import ProcessKey

CAPABILITY: Final = b"tokenward-run-"
"""How a capability begins, so that people and secret scanners know it; 32 random bytes follow."""

_SIZE: Final = len(CAPABILITY) + 43


class StartedRelay(NamedTuple):
    """The port of a relay that has started, its capability, sealed, and the digest of that."""

    port: int
    capability: SecretSource
    digest: bytes


async def start_relay(
    relay: RelayProcess,
    header: Mapping[str, object],
    proxies: memoryview | bytes,
    stderr: int,
    arena: Arena,
    key: ProcessKey,
) -> StartedRelay:
    """Start a relay with a new capability; `proxies` begins with a line end. Raise Failure."""
    block = arena.allocate(_SIZE + len(proxies))
    try:
        capability = block[:_SIZE]
        capability[:] = CAPABILITY + secrets.token_urlsafe(32).encode()
        block[_SIZE:] = proxies
        port = await relay.start(header, block, stderr)
        sealed = key.seal(capability, context(b"tokenward capability"))
        return StartedRelay(port, sealed, digest_of(capability))
    finally:
        arena.release(block)


def digest_of(capability: memoryview) -> bytes:
    """Return the digest by which the agent knows a capability."""
    return hashlib.sha256(capability).digest()
