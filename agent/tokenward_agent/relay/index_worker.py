"""The agent's side of a worker that asks an index about a credential, over a relay's connections.

The worker trusts what a relay trusts: by the user's `config.toml`, and by what the login of the
credential named (tokenward_relay/index_jobs.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenward_agent.failure import Failure
from tokenward_agent.worker.job import MAX_SECRET
from tokenward_agent.worker.runner import WorkerError, run_job

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

    from tokenward_agent.arena import Arena
    from tokenward_agent.failure import SecretSource

ASK_SECONDS: Final = 20.0
"""The longest wait for an index, as in a client that asks by itself."""

_ANSWERS: Final = {"check": ("state", "message", "unproven"), "revoke": ("revoked", "message")}


async def ask_index(
    arena: Arena, what: str, header: Mapping[str, Any], secret: SecretSource, named: memoryview
) -> dict[str, Any]:
    """Return what the index of a credential says to `check` or `revoke`. Raises Failure, KeyDestroyed.

    `header` has its `service`, `username` and `kind`, the `ca` and the `proxy` of relays, and what
    the login `accepted`. `named` is what the requester's environment names, `proxied` the hosts that
    it reaches by the proxy in there.
    """
    size = len(named)
    if size + secret.size > MAX_SECRET:
        raise Failure("refused", "The credential and the certificates of the request are too long.")
    block = arena.allocate(size + secret.size)
    try:
        block[:size] = named
        secret.open_into(block[size:])
        job = {**header, "named": size}
        answer = await run_job(arena, f"index-{what}", job, block, None, ASK_SECONDS, {})
    except WorkerError as error:
        raise Failure("index", str(error), error.hint) from None
    finally:
        arena.release(block)
    return {key: answer[key] for key in _ANSWERS[what]}
