"""Clients that misbehave, against a real agent: it stays up, forgets them, and answers the others."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest

from support.agents.bad_clients import ATTACKS, BIG_SERVICE, silence
from support.agents.good_client import SECRET, SERVICE, GoodClient
from support.agents.process import Agent
from support.inspection.processes import (
    anonymous_memory,
    children,
    descriptors,
    settled_descriptors,
)
from tokenward_protocol.frames import MAX_BODY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


pytestmark = pytest.mark.root("counts the descriptors of a hardened process")

ROUNDS = 3
MAY_GROW = 4.0  # MiB


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[Agent]:
    """An agent that, as its clients, may have many descriptors, and holds what these ask for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    try:
        with Agent(tmp_path) as agent:
            agent.create_vault()
            agent.log_in(SERVICE, SECRET)
            agent.log_in(BIG_SERVICE, b"x" * MAX_BODY)
            yield agent
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def answers(good: GoodClient) -> int:
    """Return how often a good client was answered since it was last asked, and always rightly."""
    fetches = good.report()
    assert {fetch.wrong for fetch in fetches} == {""}
    return len(fetches)


@pytest.mark.timeout(900)  # tens of thousands of connections, beside whatever else the machine does
def test_bad_clients_leave_nothing_behind_and_keep_nobody_waiting(crowded: Agent) -> None:
    memory = []
    with GoodClient(crowded.socket) as good:
        before = descriptors(crowded.pid)
        for _ in range(ROUNDS):
            silence(crowded.socket)
            assert answers(good)
            for attack in ATTACKS:
                attack(crowded.socket)
                # One answer would be enough for who comes last; these came in between.
                assert answers(good) > 2, attack.__name__
            assert settled_descriptors(crowded.pid, before) <= before
            memory.append(anonymous_memory(crowded.pid))
    assert max(memory) - memory[0] < MAY_GROW, memory
    assert children(crowded.pid) == []
    assert crowded.errors.read_text() == ""
    assert crowded.fetch(SERVICE) == SECRET
