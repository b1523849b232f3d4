"""The start of a run's relay, with its certificates and its capability.

The *capability* is what the command shows to the relay, worth nothing at any other place. The relay
gets it when it starts, and the command from the agent's answer. The agent itself keeps its digest
alone.

After a run has begun, a spare relay is started for the next one, which then need not wait for it. It
holds nothing, and ends if it is not used.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import NamedTuple

from tokenward_agent.arena import wipe
from tokenward_agent.vault.sealing import context, fill_random
from tokenward_protocol.base64url import encode_into, encoded_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Final

    from tokenward_agent.arena import Arena
    from tokenward_agent.clock import Clock
    from tokenward_agent.failure import SecretSource
    from tokenward_agent.policy.file import PolicyFile
    from tokenward_agent.relay.process import RelayProcess, SpareRelay
    from tokenward_agent.requests.run_answers import RunAnswers
    from tokenward_agent.store.memory_records import ProcessKey

CAPABILITY: Final = b"tokenward-run-"
"""How a capability begins, so that people and secret scanners know it; 32 random bytes follow."""

_RANDOM: Final = 32
_SIZE: Final = len(CAPABILITY) + encoded_size(_RANDOM)

SPARE_DELAY: Final = 0.2
"""Seconds after the start of a run until a relay is started for the next one: its command is first."""

SPARE_SECONDS: Final = 300
"""Seconds after which a spare relay ends, as it takes memory."""


class StartedRelay(NamedTuple):
    """The port of a relay that has started, its capability, sealed, and the digest of that.

    `authority` is the certificate that the command has to trust, as PEM, "" if no index has TLS.
    """

    port: int
    capability: SecretSource
    digest: bytes
    authority: str


class RelayStarter:
    """Starts the relays of one agent; `spool` is the folder for uploads that they check."""

    def __init__(
        self, policy: PolicyFile, clock: Clock, arena: Arena, key: ProcessKey, spool: str
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._arena = arena
        self._key = key
        self._spool = spool
        self._spare: SpareRelay | None = None
        self._timer: asyncio.TimerHandle | None = None

    def make_relay(self, answers: RunAnswers, ended: Callable[[], None]) -> RelayProcess:
        """Return a relay to be started; `ended` is called once when it has ended."""
        from tokenward_agent.relay.process import RelayProcess

        return RelayProcess(self._arena, answers.answer, answers.hear, ended)

    async def start(
        self,
        relay: RelayProcess,
        grants: Sequence[Mapping[str, Any]],
        proxies: memoryview | bytes,
        stderr: int,
        **more: object,
    ) -> StartedRelay:
        """Start a relay for these grants of its own form, with a new capability. Raises Failure.

        `proxies` begins with a line end; `more` is what the relay is told besides: `direct`, `uid`
        and `shared`.
        """
        from tokenward_agent.relay.certificates import make_certificates, validity

        now, settings = self._clock.wall(), self._policy.policy.relay
        hosts = [each["host"] for each in grants if each["scheme"] == "https"]
        authority, leaves = make_certificates(hosts, now) if hosts else (b"", {})
        header = {
            "grants": [*grants],
            "leaves": leaves,
            "ca": settings.ca,
            "proxy": settings.proxy,
            "spool": self._spool,
            "valid": validity(now),
            **more,
        }
        block = self._arena.allocate(_SIZE + len(proxies))
        try:
            capability = block[:_SIZE]
            _make_capability(capability)
            block[_SIZE:] = proxies
            port = await relay.start(header, block, stderr, self._take_spare())
            sealed = self._key.seal(capability, context(b"tokenward capability"))
            return StartedRelay(port, sealed, digest_of(capability), authority.decode("ascii"))
        finally:
            self._arena.release(block)

    def prepare_next(self) -> None:
        """Start a spare relay in a moment."""
        self._at(SPARE_DELAY, self._make_spare)

    def end_spare(self) -> None:
        """End the spare relay, and start none."""
        if self._timer is not None:
            self._timer.cancel()
        if spare := self._take_spare():
            spare.close()

    def _take_spare(self) -> SpareRelay | None:
        """Return the spare relay, None if there is none."""
        spare, self._spare = self._spare, None
        if spare is not None and spare.has_ended():
            spare.close()
            return None
        return spare

    def _make_spare(self) -> None:
        """Start a relay for the next run; one that is not used in a while ends."""
        from tokenward_agent.relay.process import start_spare

        self._spare = self._spare or start_spare()
        self._at(SPARE_SECONDS, self.end_spare)

    def _at(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something later, and nothing else that was to be done."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, act)


def digest_of(capability: memoryview) -> bytes:
    """Return the digest by which the agent knows a capability."""
    return hashlib.sha256(capability).digest()


def _make_capability(out: memoryview) -> None:
    chance = memoryview(bytearray(_RANDOM))
    fill_random(chance)
    out[: len(CAPABILITY)] = CAPABILITY
    encode_into(chance, out[len(CAPABILITY) :])
    wipe(chance)
