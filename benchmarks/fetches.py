"""Fetches over the wire: over a connection each, over one, and beside 1,000 that say nothing."""

from __future__ import annotations

import resource
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from echo import echo_server
from figures import Row, interleaved, milliseconds, noise, percentile
from machine import AGENT, CLIENT, PINNED, awake, core
from served import FEW, served

from client import Client, checked, fresh_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from served import Served

IDLE = 1_000
_BLOCK = 50
"""Fetches in a row: between two blocks the other server has its turn."""


def rows() -> Iterator[Row]:
    """Yield all three."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp"))
        agent = stack.enter_context(served(FEW))
        echo = Path(folder) / "echo.sock"
        with core(AGENT):
            stack.enter_context(echo_server(echo))
        stack.enter_context(core(CLIENT))
        asleep = median(_rate(agent) for _ in range(3))
        stack.enter_context(awake())
        yield _new_connections(agent, echo)
        yield _one_connection(agent, asleep)
        yield _beside_idle_ones(agent)


def _new_connections(agent: Served, echo: Path, blocks: int = 40) -> Row:
    question = agent.questions[0]
    paths = {"fetch": agent.socket, "echo": echo}
    measures = {name: partial(fresh_seconds, path, question) for name, path in paths.items()}
    taken = interleaved(measures, blocks, _BLOCK)
    above = median(taken["fetch"]) - 2 * median(taken["echo"])
    return Row(
        "one fetch over a new connection",
        "median above two asyncio echoes",
        0.2,  # what knowing who asks, and writing it down, may add
        "ms",
        above * 1e3,
        aside=milliseconds(taken),
        spread=noise(taken["echo"]),
    )


def _one_connection(agent: Served, asleep: float, rounds: int = 9) -> Row:
    rates = [_rate(agent) for _ in range(rounds)]
    return Row(
        "fetches over one connection",
        "one after another",
        10_000,
        "/s",
        median(rates),
        "" if PINNED else "not on a core each",
        at_least=True,
        aside={"slowest": min(rates), "fastest": max(rates), "cores left to sleep": asleep},
        aside_unit="/s",
    )


def _rate(agent: Served, span: float = 0.5) -> float:
    """Return how many fetches a second one connection makes, one after another."""
    client = agent.client()
    chosen = Random(1).choices(agent.questions, k=1000)
    begun, count, answer = perf_counter(), 0, b""
    while (took := perf_counter() - begun) < span:
        for question in chosen:
            answer = client.exchange(question)
        count += len(chosen)
    client.close()
    checked(answer)
    return count / took


def _beside_idle_ones(agent: Served, count: int = 3000) -> Row:
    question = agent.questions[0]
    alone = [fresh_seconds(agent.socket, question) for _ in range(count)]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4 * IDLE), most))
    idle = [Client(agent.socket) for _ in range(IDLE)]
    checked(idle[-1].exchange(question))  # accepted in turn: all of them are in
    beside = [fresh_seconds(agent.socket, question) for _ in range(count)]
    kept = [idle[IDLE // 2].seconds(question) for _ in range(count)]
    for client in idle:
        checked(client.exchange(question))  # none was hung up on
        client.close()
    return Row(
        "1,000 idle connections held",
        "p99 of a fetch over a new one",
        3,
        "ms",
        percentile(beside, 0.99) * 1e3,
        aside={
            "median": median(beside) * 1e3,
            "p99 over one of them": percentile(kept, 0.99) * 1e3,
            "p99 without them": percentile(alone, 0.99) * 1e3,
        },
    )
