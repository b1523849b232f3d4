"""Keeps one agent under mixed load with faults for some minutes, and reports how that went.

A good client fetches all the time; another one logs in, out, lists and asks for the status. Beside
them bad clients attack, workers are killed, and the agent is locked and unlocked. In the first
quarter of the time the agent is also killed and stopped again and again; after that it is one
process to the end, so that its memory can be compared.

An error is whatever was answered otherwise than it should, or not at all, and did not happen while
the agent was down or locked on purpose. At the end every acknowledged login has to be there.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))

from support.agents.bad_clients import ATTACKS, BIG_SERVICE, silence
from support.agents.good_client import SECRET, SERVICE, Fetch, GoodClient
from support.agents.process import Agent, NotDone
from support.inspection.processes import (
    anonymous_memory,
    children,
    descriptors,
    settled_descriptors,
)
from tokenward_protocol.frames import MAX_BODY

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

LONGEST_P99 = 0.05  # seconds
MAY_GROW = 4.0  # MiB
SERVICES = [f"https://{number}.example/" for number in range(200)]
GONE = b""  # the secret of what is not stored


class Windows:
    """The times in which failing is what it should do."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []
        self._begun: float | None = None

    @contextlib.contextmanager
    def open(self) -> Generator[None]:
        self._begun = time.monotonic()
        yield
        self._spans.append((self._begun, time.monotonic() + 0.05))
        self._begun = None

    def excuse(self, begun: float, ended: float) -> bool:
        """Tell whether what took from `begun` to `ended` met one."""
        if self._begun is not None and ended >= self._begun:
            return True
        return any(begun <= end and ended >= start for start, end in self._spans)


class Soak:
    """One run."""

    def __init__(self, agent: Agent, seconds: float) -> None:
        self.agent = agent
        self.windows = Windows()
        self.requests = 0
        self.errors: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self._ends = time.monotonic() + seconds
        self._random = random.Random(1)
        self._model: dict[str, set[bytes]] = {}  # what each service may hold: more is uncertain

    def run(self, seconds: float) -> tuple[list[Fetch], tuple[float, float], tuple[int, int]]:
        """Return the good client's fetches, memory, and descriptors, each at start and end."""
        threads = [
            threading.Thread(target=self._until_the_end, args=(each,))
            for each in (self._change, self._attack, self._kill_worker)
        ]
        restarts_end = time.monotonic() + seconds / 4
        with GoodClient(self.agent.socket) as good:
            before = descriptors(self.agent.pid)
            for thread in threads:
                thread.start()
            while time.monotonic() < restarts_end:
                time.sleep(5)
                self._restart()
            time.sleep(20)  # one round of every attack
            memory = anonymous_memory(self.agent.pid)
            while time.monotonic() < self._ends:
                time.sleep(8)
                self._lock()
            for thread in threads:
                thread.join()
            fetches = good.report()
            after = settled_descriptors(self.agent.pid, before)
        return fetches, (memory, anonymous_memory(self.agent.pid)), (before, after)

    def _until_the_end(self, step: Callable[[], None]) -> None:
        while time.monotonic() < self._ends:
            begun = time.monotonic()
            try:
                step()
            except (OSError, EOFError, NotDone, AssertionError, KeyError) as error:
                if not self.windows.excuse(begun, time.monotonic()):
                    self.errors[f"{step.__name__}: {type(error).__name__} {error}"] += 1
                time.sleep(0.1)

    def _ask(self, op: str, body: bytes = b"", **arguments: str | bool) -> None:
        self.requests += 1
        self.agent.ask(op, body, **arguments)

    def _change(self) -> None:
        """Log in or out somewhere, or look at what is there."""
        time.sleep(0.02)
        service, secret = self._random.choice(SERVICES), self._random.randbytes(200).hex().encode()
        held = self._model.get(service, {GONE})
        kind = self._random.choice(("login", "login", "logout", "list", "status"))
        if kind == "login":
            self._model[service] = held | {secret}
            self._ask("login", secret, service=service, username="u", provider="disabled")
            self._model[service] = {secret}
        elif kind == "logout":
            self._model[service] = held | {GONE}
            try:
                self._ask("logout", service=service, username="u", provider="disabled")
            except NotDone as error:
                if error.code != "not-found" or GONE not in held:
                    raise
            self._model[service] = {GONE}
        else:
            self._ask(kind)

    def _attack(self) -> None:
        attack = self._random.choice((*ATTACKS, silence))
        self.faults[f"attacks ({attack.__name__})"] += 1
        attack(self.agent.socket)

    def _kill_worker(self) -> None:
        """Have a passphrase stretched, and kill the worker that does it now and then."""
        time.sleep(1)
        killer = threading.Thread(target=self._kill_soon)
        killer.start()
        try:
            self._ask("passphrase", b"a passphrase", action="set", keep=True)
        except NotDone as error:
            if error.code != "provider":  # that is what a killed worker comes to
                raise
        finally:
            killer.join()

    def _kill_soon(self) -> None:
        time.sleep(self._random.random() / 2)
        with contextlib.suppress(OSError):
            for child in children(self.agent.pid):
                os.kill(child, signal.SIGKILL)
                self.faults["workers killed"] += 1

    def _restart(self) -> None:
        number = self._random.choice((signal.SIGKILL, signal.SIGTERM))
        with self.windows.open():
            self.agent.restart(number)
        self.faults[f"restarts ({number.name})"] += 1

    def _lock(self) -> None:
        with self.windows.open():
            self.agent.ask("lock")
            time.sleep(0.2)
            self.agent.ask("unlock")
        self.faults["locks"] += 1

    def lost(self) -> list[str]:
        """Return the services that hold something else than was acknowledged."""
        return [service for service, held in self._model.items() if self._held(service) not in held]

    def _held(self, service: str) -> bytes:
        try:
            return self.agent.fetch(service)
        except NotDone as error:
            return GONE if error.code == "not-found" else str(error).encode()


def main() -> int:
    """Return 0 if nothing went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", type=float, metavar="MINUTES")
    seconds = parser.parse_args().minutes * 60
    with (
        tempfile.TemporaryDirectory(prefix="soak-", dir="/tmp") as folder,
        Agent(Path(folder).resolve()) as agent,
    ):
        agent.create_vault()
        agent.log_in(SERVICE, SECRET)
        agent.log_in(BIG_SERVICE, b"x" * MAX_BODY)
        soak = Soak(agent, seconds)
        fetches, memory, files = soak.run(seconds)
        lost, said = soak.lost(), agent.errors.read_text()
    return report(soak, fetches, memory, files, lost, said)


def report(
    soak: Soak,
    fetches: list[Fetch],
    memory: tuple[float, float],
    files: tuple[int, int],
    lost: list[str],
    said: str,
) -> int:
    """Print what happened; return 0 if nothing went wrong."""
    judged = [
        fetch
        for fetch in fetches
        if not soak.windows.excuse(fetch.begun, fetch.begun + fetch.seconds)
    ]
    soak.errors.update(f"fetch: {fetch.wrong}" for fetch in judged if fetch.wrong)
    times = sorted(fetch.seconds for fetch in judged)
    p50, p99 = (times[int(len(times) * part)] for part in (0.5, 0.99))
    lines = [
        f"requests  {len(fetches) + soak.requests} by good clients, {len(judged)} fetches timed",
        f"errors    {soak.errors.total()}",
        *(f"          {count} x {error}" for error, count in soak.errors.items()),
        f"fetch     p50 {p50 * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms, longest {times[-1] * 1e3:.2f} ms",
        f"memory    {memory[0]:.1f} MiB at the start, {memory[1]:.1f} MiB at the end (RssAnon)",
        f"files     {files[0]} descriptors at the start, {files[1]} at the end",
        f"lost      {len(lost)} of the acknowledged logins {' '.join(lost)}",
        "faults    " + ", ".join(f"{count} {name}" for name, count in sorted(soak.faults.items())),
        f"said      {said.strip() or 'nothing'}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    grew = memory[1] - memory[0] > MAY_GROW or files[1] > files[0]
    return 1 if soak.errors or lost or said or grew or p99 > LONGEST_P99 else 0


if __name__ == "__main__":
    sys.exit(main())
