"""What it takes to know who asks, and to write the line about it: the agent's own calls, in here.

Over the wire both are a few hundredths of what a machine's moods do to a fetch. So the calls that
the agent makes for a fetch are timed by themselves: a connection whose other end is a real process
with parents, a log on the disk of the temporary directory, and a request and its answer as they are.
"""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from figures import Row, percentile

from tokenward_agent.arena import Arena
from tokenward_agent.audit.log import AuditLog
from tokenward_agent.clock import SystemClock
from tokenward_agent.peer.peer import Peer
from tokenward_agent.requests.recording import Recorder
from tokenward_agent.store.audit_anchoring import AuditAnchoring
from tokenward_agent.store.vaults import Vaults
from tokenward_agent.wire.answer import Answer
from tokenward_agent.wire.request import Request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenward_protocol.packing import Value

ROUNDS = 2000
_FACTS: dict[str, Value] = {
    "service": "https://upload.pypi.org/legacy/",
    "username": "__token__",
    "provider": "keyring",
    "expires": 1_790_003_600,
}


def rows() -> Iterator[Row]:
    """Yield both."""
    fresh, known, chain, size = _taken()
    aside = {"p99": percentile(fresh, 0.99) * 1e6, "processes of the chain": float(chain)}
    yield Row(
        "who asks, and the line about it",
        "added to a fetch, new connection",
        200,
        "us",
        median(fresh) * 1e6,
        aside=aside,
        aside_unit="",
    )
    yield Row(
        "who asks, and the line about it",
        "added to a fetch, old connection",
        20,
        "us",
        median(known) * 1e6,
        aside={"p99": percentile(known, 0.99) * 1e6, "bytes of a line": float(size)},
        aside_unit="",
    )


def _taken() -> tuple[list[float], list[float], int, int]:
    with tempfile.TemporaryDirectory(prefix="bench-") as state:
        arena, clock = Arena(1 << 20), SystemClock()
        log = AuditLog(state, arena, clock)
        recorder = Recorder(log, AuditAnchoring(Vaults(state, state, arena, clock), log))
        ours, theirs = socket.socketpair()
        with ours, theirs:
            request = Request("fetch", 1, "", {})
            answer = Answer({"id": 1, "ok": True, **_FACTS})
            fresh, known = [], []
            for _ in range(ROUNDS):
                begun = perf_counter()
                request.peer = Peer(ours)
                recorder.record_decision(request, answer)
                fresh.append(perf_counter() - begun)
                begun = perf_counter()
                recorder.record_decision(request, answer)
                known.append(perf_counter() - begun)
            if log.problem or log.chain.lines != 2 * ROUNDS:
                raise RuntimeError(log.problem or "a line is missing")
            chain = len(Peer(ours).requester.chain)
        first = Path(log.files.path(1)).read_bytes().partition(b"\n")[0]
    return fresh, known, chain, len(first)
