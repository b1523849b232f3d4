"""Fetches that a person is asked about, of a real agent's parts: when, how often, and for whom."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest

from support.agents.in_process import Engine
from support.waiting import until_in_loop
from tokenward_agent.asking.peer import Peer
from tokenward_agent.wire.answer import Answer
from tokenward_agent.wire.request import Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a peer is read in /proc")

URL = "https://h.example/"
ASKS = """#!/bin/sh
echo >>{folder}/asked
until [ -e {folder}/answer ]; do sleep 0.02; done
cat {folder}/answer
"""


class Asked:
    """An agent whose policy is to be asked, by a program that answers what `answer` holds by then."""

    def __init__(self, folder: Path, engine: Engine, peer: Peer) -> None:
        self._folder = folder
        self.engine = engine
        self._peer = peer
        program = folder / "x-askpass"
        program.write_text(ASKS.format(folder=folder))
        program.chmod(0o700)
        self._pinentry = f'pinentry = "{program}"\n'

    def rules(self, *rules: str) -> None:
        lines = (f"[[policy]]\n{rule}\n" for rule in rules)
        self.engine.config.write_text(self._pinentry + "".join(lines))

    def answers(self, word: str) -> None:
        (self._folder / "answer").write_text(f"{word}\n")

    @property
    def questions(self) -> int:
        path = self._folder / "asked"
        return path.read_text().count("\n") if path.exists() else 0

    async def is_open(self) -> None:
        """Wait until a question is."""
        await until_in_loop(lambda: self.questions)

    async def fetch(self, **arguments: str | int | bool) -> dict[str, Any]:
        given: dict[str, str | int | bool] = {"service": URL, "attended": True, "display": ":7"}
        request = Request("fetch", 1, "", given | arguments)
        request.peer = self._peer
        answer = self.engine.dispatch(request, memoryview(b""))
        found = answer if isinstance(answer, Answer) else await answer
        return found.values


def with_asked(folder: Path, work: Callable[[Asked], Awaitable[None]]) -> None:
    """Run `work` with one, which this process itself asks."""

    async def main() -> None:
        engine = Engine(folder)
        await engine.make("disabled")
        await engine.login(URL, b"a secret")
        ours, theirs = socket.socketpair()
        with ours, theirs:
            await work(Asked(folder, engine, Peer(ours)))

    asyncio.run(main())


def test_one_answer_settles_what_waited_for_its_turn_behind_that_question(tmp_path: Path) -> None:
    async def work(asked: Asked) -> None:
        asked.rules('decide = "ask"')
        both = [asyncio.create_task(asked.fetch()) for _ in range(2)]
        await asked.is_open()
        asked.answers("yes")
        consents = [found["consent"] for found in await asyncio.gather(*both)]
        assert consents == ["asked", "remembered"]
        assert asked.questions == 1

    with_asked(tmp_path, work)


def test_a_rule_that_came_while_it_waited_is_obeyed(tmp_path: Path) -> None:
    async def work(asked: Asked) -> None:
        asked.rules('decide = "ask"')
        both = [asyncio.create_task(asked.fetch(ttl=ttl)) for ttl in (60, 61)]
        await asked.is_open()
        asked.rules('decide = "deny"')
        asked.answers("no")
        assert {found["code"] for found in await asyncio.gather(*both)} == {"refused"}
        assert asked.questions == 1

    with_asked(tmp_path, work)


def test_nobody_is_asked_for_a_client_that_does_not_wait(tmp_path: Path) -> None:
    async def work(asked: Asked) -> None:
        asked.rules('decide = "ask"')
        asked.answers("yes")
        assert (await asked.fetch(attended=False))["code"] == "consent"
        assert asked.questions == 0

    with_asked(tmp_path, work)


def test_a_yes_is_not_remembered_for_a_rule_of_which_nobody_knows_whether_it_is_meant(
    tmp_path: Path,
) -> None:
    """It holds for the process, a minute, as any other does."""

    async def work(asked: Asked) -> None:
        asked.rules('decide = "ask"\npurpose = "publish"\nremember = "8h"')
        asked.answers("yes")
        assert (await asked.fetch())["consent"] == "asked"
        assert (await asked.fetch())["consent"] == "remembered"
        asked.engine.clock.pass_by(60)
        assert (await asked.fetch())["consent"] == "asked"

    with_asked(tmp_path, work)


def test_nobody_is_asked_more_often_than_they_can_read(tmp_path: Path) -> None:
    async def work(asked: Asked) -> None:
        asked.rules('decide = "ask"')
        asked.answers("no")
        codes = [(await asked.fetch(projects=f"p{number}"))["code"] for number in range(12)]
        assert codes == ["refused"] * 12
        assert asked.questions == 10

    with_asked(tmp_path, work)
