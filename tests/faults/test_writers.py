"""Three writers, an agent that is killed again and again, and litter in its directory.

Each writer keeps a ledger of what was acknowledged. What was not may have happened or not; so for
each name the ledger has what may be there, and in the end exactly one of that is.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from typing import TYPE_CHECKING

from support.agents.process import Agent, NotDone
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KILLS = 80 if os.environ.get("THOROUGH") else 20
WRITERS, NAMES = 3, 5
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)

Ledger = dict[str, set[bytes | None]]
"""What may be stored for each service; None is nothing."""


class OnDemand:
    """An agent that whoever finds it dead starts again."""

    def __init__(self, root: Path) -> None:
        self.agent = Agent(root)
        self.acknowledged = self.refused = self.kills = 0
        self._starting = threading.Lock()

    def ask(self, op: str, body: bytes, **arguments: str) -> bool:
        """Ask; tell whether it was acknowledged. A death is no answer, and a refusal is one."""
        try:
            self.agent.ask(op, body, **arguments)
        except (AssertionError, OSError):
            with self._starting:
                if not self.agent.running:
                    self.agent.restart()
            return False
        self.acknowledged += 1
        return True

    def kill(self) -> None:
        """Kill it, wherever it is."""
        with self._starting:
            os.kill(self.agent.pid, signal.SIGKILL)
            self.agent.ended()
        self.kills += 1


def write(demand: OnDemand, ledger: Ledger, dice: random.Random) -> None:
    """Make one change and note what it may have come to."""
    service = dice.choice(list(ledger))
    if dice.random() < 0.3 and None not in ledger[service]:
        after = None
        done = demand.ask("logout", b"", service=service, username="ana")
    else:
        after = dice.randbytes(dice.choice([8, 200, 20_000]))
        done = demand.ask("login", after, service=service, username="ana", provider="disabled")
    ledger[service] = {after} if done else ledger[service] | {after}


def litter(directory: Path, dice: random.Random) -> None:
    """Leave what a save that died leaves: half a file, or a second name of the vault."""
    name = f".disabled.vault.{dice.randbytes(8).hex()}.tmp"
    if dice.random() < 0.5:
        (directory / name).write_bytes(dice.randbytes(100))
    else:
        with contextlib.suppress(FileNotFoundError):  # a save put another one there just now
            (directory / name).hardlink_to(directory / "disabled.vault")


def hold(agent: Agent, service: str) -> bytes | None:
    try:
        return agent.fetch(service)
    except NotDone as missing:
        if missing.code != "not-found":
            raise
        return None


def test_no_acknowledged_change_is_lost_however_often_the_agent_is_killed(tmp_path: Path) -> None:
    demand = OnDemand(tmp_path)
    agent = demand.agent
    agent.create_vault()
    ended = threading.Event()
    failed: list[BaseException] = []

    def until_the_end(number: int, do: Callable[[random.Random], None]) -> threading.Thread:
        dice = random.Random(SEED + number)

        def run() -> None:
            try:
                while not ended.is_set() and not failed:
                    do(dice)
            except BaseException as error:  # noqa: BLE001 - told by the thread that waits
                failed.append(error)

        return threading.Thread(target=run)

    def kill(dice: random.Random) -> None:
        before = demand.acknowledged
        until(lambda: demand.acknowledged > before or failed)  # the machine may be slow to start it
        time.sleep(dice.uniform(0, 0.3))
        demand.kill()
        if demand.kills == KILLS:
            ended.set()

    def strew(dice: random.Random) -> None:
        time.sleep(0.02)
        litter(agent.directory, dice)

    ledgers: list[Ledger] = [
        {f"https://{writer}-{name}.example/": {None} for name in range(NAMES)}
        for writer in range(WRITERS)
    ]
    threads = [
        until_the_end(number, lambda dice, ledger=ledger: write(demand, ledger, dice))  # type: ignore[misc]
        for number, ledger in enumerate(ledgers)
    ]
    threads += [until_the_end(10, kill), until_the_end(11, strew)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed, (failed, f"SEED={SEED}")
        agent.restart()
        for ledger in ledgers:
            for service, may_be in ledger.items():
                assert hold(agent, service) in may_be, (service, f"SEED={SEED}")
        agent.ask("login", b"x", service="https://x.example/", username="", provider="disabled")
        assert [path.name for path in agent.directory.glob(".*")] == []
        assert demand.acknowledged >= demand.kills == KILLS
    finally:
        agent.end(signal.SIGKILL)
    print(f"{demand.acknowledged} changes acknowledged, the agent killed {demand.kills} times")  # noqa: T201 - shown by `pytest -s`
