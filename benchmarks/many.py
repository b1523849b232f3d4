"""10,000 credentials against 10: fetch, login, unlock, and the agent's memory."""

from __future__ import annotations

import sys
from functools import partial
from random import Random
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from figures import Row, interleaved, milliseconds, noise
from machine import CLIENT, awake, core
from served import FEW, MANY, served

from client import checked, login

if TYPE_CHECKING:
    from collections.abc import Iterator

    from served import Served

    from client import Client

_WHAT = "10,000 stored credentials against 10"
_BLOCK = 50


def rows() -> Iterator[Row]:
    """Yield the times."""
    with served(FEW) as few, served(MANY) as many, core(CLIENT):
        both = {"10": few, "10,000": many}
        with awake():
            row = _fetch(both)
        yield row
        yield _login(both)
        yield _unlock(both)


def memory_rows() -> Iterator[Row]:
    """Yield what an agent keeps resident after a few fetches, and after a login."""
    for count, limit in ((FEW, 34), (MANY, 50)):
        what, figure = "memory of the resident agent", f"VmRSS with {count:,} credentials"
        if sys.platform != "linux":
            yield Row(what, figure, limit, "MiB", None, "not run: needs /proc")
            continue
        with served(count) as agent:
            client = agent.client()
            for question in agent.questions[:100]:
                client.exchange(question)
            resident, anonymous = agent.memory()
            checked(client.exchange(login("https://new.example/")))
            after, _ = agent.memory()
        aside = {"RssAnon": anonymous, "VmRSS after a login": after}
        yield Row(what, figure, limit, "MiB", resident, aside=aside, aside_unit="MiB")


def _fetch(both: dict[str, Served], blocks: int = 60) -> Row:
    random = Random(1)
    clients = {name: agent.client() for name, agent in both.items()}

    def one(name: str) -> float:
        question = random.choice(both[name].questions)
        # A copy: out of 10,000 frames our own cache would miss, and it is not what is measured.
        return clients[name].seconds(bytes(bytearray(question)))

    taken = interleaved({name: partial(one, name) for name in both}, blocks, _BLOCK)
    ratio = median(taken["10,000"]) / median(taken["10"])
    aside, spread = milliseconds(taken), noise(taken["10"])
    return Row(_WHAT, "fetch, median", 1.2, "x", ratio, aside=aside, spread=spread)


def _login(both: dict[str, Served], rounds: int = 25) -> Row:
    """Store another credential each time, which the answer says is on the disk."""
    clients = {name: agent.client() for name, agent in both.items()}
    numbers = iter(range(10_000))

    def one(client: Client) -> float:
        question = login(f"https://new-{next(numbers)}.example/")
        begun = perf_counter()
        answer = client.exchange(question)
        took = perf_counter() - begun
        checked(answer)
        return took

    taken = interleaved({name: partial(one, clients[name]) for name in both}, rounds)
    return _of_many("`login`, on disk", 60, "ms", taken, 1e3)


def _unlock(both: dict[str, Served], rounds: int = 11) -> Row:
    """Lock and open again: by a key file, so that all of it is beyond a key derivation."""
    clients = {name: agent.client() for name, agent in both.items()}

    def one(client: Client) -> float:
        client.ask("lock")
        begun = perf_counter()
        client.ask("unlock")
        return perf_counter() - begun

    taken = interleaved({name: partial(one, clients[name]) for name in both}, rounds)
    return _of_many("unlocking, beyond the KDF", 0.2, "s", taken, 1)


def _of_many(
    figure: str, limit: float, unit: str, taken: dict[str, list[float]], scale: float
) -> Row:
    many = taken["10,000"]
    aside = {"slowest": max(many) * 1e3, "with 10": median(taken["10"]) * 1e3}
    return Row(_WHAT, figure, limit, unit, median(many) * scale, aside=aside)
