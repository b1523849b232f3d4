"""A running agent with any number of credentials, in a directory of its own, on its own core."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fill import fill
from machine import AGENT, core

from client import Client, asking
from support.agents.process import Agent

if TYPE_CHECKING:
    from collections.abc import Iterator

FEW, MANY = 10, 10_000
"""How many credentials a vault holds: those of a person, and more than anybody has."""


class Served:
    """An agent that has answered a first fetch, so that its vault is open."""

    def __init__(self, agent: Agent, services: list[str]) -> None:
        self.agent = agent
        self.services = services
        self.questions = [asking(service) for service in services]
        client = self.client()
        client.exchange(self.questions[0])
        client.close()

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.agent.socket

    def client(self) -> Client:
        """Return a new connection."""
        return Client(self.socket)

    def memory(self) -> tuple[float, float]:
        """Return resident memory in MiB: all of it, and what is not mapped from a file."""
        status = Path(f"/proc/{self.agent.pid}/status").read_text().splitlines()
        sizes = {name: value for name, _, value in (line.partition(":") for line in status)}
        resident, anonymous = (int(sizes[name].split()[0]) for name in ("VmRSS", "RssAnon"))
        return resident / 1024, anonymous / 1024


@contextmanager
def served(count: int) -> Iterator[Served]:
    """Run an agent with this many credentials in a vault that opens with a key file."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as folder:
        root = Path(folder).resolve()
        with core(AGENT):
            agent = Agent(root)
        try:
            client = Client(agent.socket)
            client.ask("create", provider="disabled", slot="key-file")
            client.close()
            agent.end()
            services = fill(agent.directory, agent.state, count)
            with core(AGENT):
                agent.start()
            yield Served(agent, services)
        finally:
            if agent.running:
                agent.end()
