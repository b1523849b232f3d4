"""Fetches that a person is asked about, of a real agent's parts: when, how often, and for whom."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest

from support.agents.in_process import Engine
from support.agents.served import asked as asked_at
from support.agents.served import served, there
from support.macaroons import caveats_of, token_of
from support.waiting import until_in_loop
from tokenward_agent.peer.peer import Peer
from tokenward_agent.vault.record import AdoptedSource
from tokenward_agent.wire.answer import Answer
from tokenward_agent.wire.request import Request
from tokenward_protocol.index_tokens import MOST_TTL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tokenward_agent.vault.record import Record

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a peer is read in /proc")

URL = "https://h.example/"
DEVPI = token_of("", "user-abc", prefix="devpi-")
ASKS = """#!/bin/sh
printf %s "$1" >{folder}/question
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
        (self._folder / "said").write_text(f"{word}\n")
        (self._folder / "said").rename(self._folder / "answer")  # never half an answer

    @property
    def questions(self) -> int:
        path = self._folder / "asked"
        return path.read_text().count("\n") if path.exists() else 0

    async def is_open(self) -> None:
        """Wait until a question is."""
        await until_in_loop(lambda: self.questions)

    @property
    def question(self) -> str:
        """What was asked last."""
        return (self._folder / "question").read_text()

    async def fetch(self, **arguments: str | int | bool) -> dict[str, Any]:
        return (await self.ask("fetch", **arguments)).values

    async def ask(self, op: str, **arguments: str | int | bool) -> Answer:
        given: dict[str, str | int | bool] = {"service": URL, "attended": True, "display": ":7"}
        request = Request(op, 1, "", given | arguments)
        request.peer = self._peer
        answer = self.engine.dispatch(request, memoryview(b""))
        return answer if isinstance(answer, Answer) else await answer

    async def share(self, **arguments: str | int | bool) -> dict[str, Any]:
        return (await self.ask("share", **arguments)).values


@contextlib.asynccontextmanager
async def one_asked(folder: Path) -> AsyncIterator[Asked]:
    """Lend one, which this process itself asks."""
    engine = Engine(folder)
    await engine.make("disabled")
    await engine.login(URL, b"a secret")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Asked(folder, engine, Peer(ours))


async def test_one_answer_settles_what_waited_for_its_turn_behind_that_question(
    tmp_path: Path,
) -> None:
    async with one_asked(tmp_path) as asked:
        asked.rules('decide = "ask"')
        both = [asyncio.create_task(asked.fetch()) for _ in range(2)]
        await asked.is_open()
        asked.answers("yes")
        consents = [found["consent"] for found in await asyncio.gather(*both)]
        assert consents == ["asked", "remembered"]
        assert asked.questions == 1


async def test_a_rule_that_came_while_it_waited_is_obeyed(tmp_path: Path) -> None:
    async with one_asked(tmp_path) as asked:
        asked.rules('decide = "ask"')
        await asked.engine.login(URL, DEVPI.encode())
        both = [asyncio.create_task(asked.fetch(ttl=ttl)) for ttl in (60, 61)]
        await asked.is_open()
        asked.rules('decide = "deny"')
        asked.answers("no")
        assert {found["code"] for found in await asyncio.gather(*both)} == {"refused"}
        assert asked.questions == 1


async def test_nobody_is_asked_for_a_client_that_does_not_wait(tmp_path: Path) -> None:
    async with one_asked(tmp_path) as asked:
        asked.rules('decide = "ask"')
        asked.answers("yes")
        assert (await asked.fetch(attended=False))["code"] == "consent"
        assert asked.questions == 0


async def test_a_yes_is_not_remembered_for_a_rule_of_which_nobody_knows_whether_it_is_meant(
    tmp_path: Path,
) -> None:
    """It holds for the process, a minute, as any other does."""
    async with one_asked(tmp_path) as asked:
        asked.rules('decide = "ask"\npurpose = "publish"\nremember = "8h"')
        asked.answers("yes")
        assert (await asked.fetch())["consent"] == "asked"
        assert (await asked.fetch())["consent"] == "remembered"
        asked.engine.clock.pass_by(60)
        assert (await asked.fetch())["consent"] == "asked"


async def test_nobody_is_asked_more_often_than_they_can_read(tmp_path: Path) -> None:
    async with one_asked(tmp_path) as asked:
        asked.rules('decide = "ask"')
        asked.answers("no")
        await asked.engine.login(URL, DEVPI.encode())
        codes = [(await asked.fetch(projects=f"p{number}"))["code"] for number in range(12)]
        assert codes == ["refused"] * 12
        assert asked.questions == 10


# A yes is to one login's credential, in the form in which it goes out.

REMEMBERS = 'decide = "ask"\nremember = "8h"'


async def _stored(engine: Engine, secret: str) -> None:
    await engine.login(URL, secret.encode())


async def _logged_out_and_in(engine: Engine, secret: str) -> None:
    await engine.ask("logout", service=URL)
    await engine.login(URL, secret.encode())


async def _in_the_other_vault(engine: Engine, secret: str) -> None:
    await engine.make("keyring")
    await engine.login(URL, secret.encode(), "keyring")


async def _in_memory(engine: Engine, secret: str) -> None:
    await engine.ask("logout", service=URL)
    given: dict[str, Any] = {"service": URL, "username": "ana", "memory": True, "lifetime": 900}
    await engine.ask("login", secret.encode(), **given)


EXCHANGES = [_stored, _logged_out_and_in, _in_the_other_vault, _in_memory]
ANOTHER = token_of("", "user-other", prefix="devpi-")


@pytest.mark.parametrize("another", ["a password", ANOTHER, DEVPI], ids=["pw", "token", "same"])
@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_remembered_yes_is_none_to_what_another_login_put_in_its_place(
    tmp_path: Path, exchange: Callable[[Engine, str], Awaitable[None]], another: str
) -> None:
    """In the same second, too."""
    async with one_asked(tmp_path) as asked:
        asked.rules(REMEMBERS)
        asked.answers("yes")
        await asked.engine.login(URL, DEVPI.encode())
        assert (await asked.fetch())["narrowed"]
        assert (await asked.fetch())["consent"] == "remembered"
        await exchange(asked.engine, another)
        asked.answers("no")
        assert (await asked.fetch())["code"] == "refused"
        assert asked.questions == 2


@pytest.mark.parametrize("another", ["a password", ANOTHER], ids=["pw", "token"])
@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_what_was_exchanged_while_somebody_was_asked_does_not_go_out(
    tmp_path: Path, exchange: Callable[[Engine, str], Awaitable[None]], another: str
) -> None:
    async with one_asked(tmp_path) as asked:
        asked.rules(REMEMBERS)
        await asked.engine.login(URL, DEVPI.encode())
        waiting = asyncio.create_task(asked.fetch())
        await asked.is_open()
        await exchange(asked.engine, another)
        asked.answers("yes")
        assert (await waiting)["code"] == "busy"
        asked.answers("no")
        assert (await asked.fetch())["code"] == "refused"


@pytest.mark.parametrize("meant", ["deny", "ask", "allow"])
async def test_a_yes_under_another_policy_than_the_one_that_asked_lets_nothing_out(
    tmp_path: Path, meant: str
) -> None:
    async with one_asked(tmp_path) as asked:
        asked.rules('decide = "ask"')
        waiting = asyncio.create_task(asked.fetch())
        await asked.is_open()
        asked.rules(f'decide = "{meant}"\nusername = "ana"')
        asked.answers("yes")
        assert (await waiting)["code"] == "busy"


async def test_a_yes_does_not_outlive_a_lock_that_came_while_it_was_asked_for(
    tmp_path: Path,
) -> None:
    async with one_asked(tmp_path) as asked:
        asked.rules(REMEMBERS)
        waiting = asyncio.create_task(asked.fetch())
        await asked.is_open()
        await asked.engine.auto_lock.lock("screen")
        asked.answers("yes")
        assert (await waiting)["code"] == "busy"
        asked.answers("no")
        assert (await asked.fetch())["code"] == "refused"


async def test_a_yes_holds_for_what_it_was_said_to_be_for_and_for_nothing_longer_or_wider(
    tmp_path: Path,
) -> None:
    async with one_asked(tmp_path) as asked:
        asked.rules(REMEMBERS)
        await asked.engine.login(URL, DEVPI.encode())
        asked.answers("yes")
        await asked.fetch(projects="mine")
        assert "a token that ends within one hour" in asked.question
        assert (await asked.fetch(projects="mine", ttl=3600))["consent"] == "remembered"
        asked.answers("no")
        wider: list[dict[str, Any]]
        wider = [{"projects": "mine", "ttl": 3601}, {"projects": "mine two"}, {}, {"whole": True}]
        for asks in wider:
            assert (await asked.fetch(**asks))["code"] == "refused", asks
        assert asked.questions == 1 + len(wider)


async def test_a_yes_to_a_share_is_told_for_whom_and_where_and_opens_that_one_socket(
    tmp_path: Path,
) -> None:
    async with one_asked(tmp_path) as asked:
        server = served(asked.engine)
        asked.rules(REMEMBERS)
        await asked.engine.login(URL, DEVPI.encode())
        asked.answers("yes")
        here = str(tmp_path / "here.sock")
        assert (await asked.share(at=here, uids="4711 4712", lifetime=3600))["ok"]
        for told in here, "4711, 4712", "attenuated tokens", "for one hour":
            assert told in asked.question
        await asked.ask("unshare")
        asked.answers("no")
        others: list[dict[str, Any]]
        others = [{"at": str(tmp_path / "elsewhere.sock")}, {}, {"at": here, "uids": "4711 4713"}]
        for asks in others:
            denied = await asked.share(**{"uids": "4711 4712", "lifetime": 3600, **asks})
            assert denied["code"] == "refused", asks
        assert asked.questions == 1 + len(others)
        asked.engine.share_requests.close()
        await server.close()


async def test_a_share_that_somebody_agreed_to_hands_out_without_a_question_until_the_policy_changes(
    tmp_path: Path,
) -> None:
    async with one_asked(tmp_path) as asked:
        server = served(asked.engine)
        asked.rules('decide = "ask"')
        await asked.engine.login(URL, DEVPI.encode())
        asked.answers("yes")
        path = str((await asked.share())["socket"])
        for _ in range(3):
            assert (await asked_at(path, "fetch", service=URL))["ok"]
        assert asked.questions == 1
        asked.rules('decide = "ask"\nrate = "9/1h"')
        assert (await asked_at(path, "fetch", service=URL))["code"] == "refused"
        await until_in_loop(lambda: not there(path))
        await server.close()


async def test_what_a_person_sees_and_the_policy_judges_is_what_goes_out(tmp_path: Path) -> None:
    async with one_asked(tmp_path) as asked:
        asked.rules('project = "other"\ndecide = "ask"\nttl = "15m"')
        asked.answers("yes")
        await asked.engine.ask("logout", service=URL)
        await asked.engine.login(URL, token_of("", "u", "projects=other", prefix="devpi-").encode())
        answer = await asked.ask("fetch")
        assert answer.secret is not None
        body = bytearray(answer.secret.size)
        answer.secret.open_into(memoryview(body))
        end = asked.engine.clock.wall() + 900
        assert caveats_of(body.decode()) == ["projects=other", f"expires={end}"]
        assert "a token that ends within 15 minutes" in asked.question


@pytest.mark.parametrize(
    ("kept", "wider"),
    [
        (DEVPI, ["a password"]),
        (token_of("", "u", "projects=one", prefix="devpi-"), ["a password", ANOTHER]),
    ],
)
async def test_a_yes_to_a_token_in_a_keyring_is_none_to_what_the_keyring_has_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str, wider: list[str]
) -> None:
    """Nobody has logged in anew; how a keyring is read is another test's."""
    async with one_asked(tmp_path) as asked:
        engine, holds = asked.engine, [kept]
        await engine.make("keyring")
        await engine.changes.login(
            URL, "ana", memoryview(b""), "keyring", adopt=AdoptedSource("keyring", URL)
        )

        async def read(_record: Record, _variables: None, into: memoryview) -> dict[str, Any]:
            size = len(holds[0])
            into[:size] = holds[0].encode()
            return {"size": size, "end": None}

        monkeypatch.setattr(engine.adopted, "read", read)
        asked.rules(REMEMBERS)
        asked.answers("yes")
        assert (await asked.fetch())["narrowed"]
        assert "a token that ends within one hour" in asked.question
        assert (await asked.fetch())["consent"] == "remembered"
        asked.answers("no")
        for holds[0] in wider:
            engine.made.forget()
            assert (await asked.fetch())["code"] == "refused"


async def test_nobody_who_is_denied_has_a_keyring_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with one_asked(tmp_path) as asked:
        await asked.engine.make("keyring")
        await asked.engine.changes.login(
            URL, "ana", memoryview(b""), "keyring", adopt=AdoptedSource("keyring", URL)
        )

        async def never(*_arguments: object) -> dict[str, Any]:
            raise AssertionError

        monkeypatch.setattr(asked.engine.adopted, "read", never)
        asked.rules('decide = "deny"\nproject = "x"', 'decide = "deny"')
        assert (await asked.fetch())["code"] == "refused"


# Deny, then what cannot be at all, then the rate, then the question.

FOR_ONE = token_of("", "user-abc", "projects=one", prefix="devpi-")
IMPOSSIBLE: list[tuple[str, dict[str, Any], str]] = [
    ("a password", {"projects": "mine"}, "refused"),
    (DEVPI, {"ttl": MOST_TTL + 1}, "bad-request"),
    (FOR_ONE, {"projects": "two"}, "refused"),
]


@pytest.mark.parametrize(("secret", "wish", "code"), IMPOSSIBLE)
async def test_nobody_is_asked_about_what_cannot_be_and_no_rate_counts_it(
    tmp_path: Path, secret: str, wish: dict[str, Any], code: str
) -> None:
    async with one_asked(tmp_path) as asked:
        asked.rules('decide = "ask"\nrate = "1/1h"')
        asked.answers("yes")
        await asked.engine.login(URL, secret.encode())
        for _ in range(2):
            refused = await asked.fetch(**wish)
            assert (refused["code"], refused.get("why") == "too often") == (code, False)
        assert not asked.engine.authorizer.has_state()
        await asked.engine.login(URL, b"another password")
        assert (await asked.fetch())["consent"] == "asked"
        assert asked.questions == 1


async def test_what_is_denied_is_denied_though_it_could_not_be_at_all(tmp_path: Path) -> None:
    async with one_asked(tmp_path) as asked:
        asked.rules('decide = "deny"')
        refused = await asked.fetch(projects="mine")
        assert "denies" in refused["message"]


async def test_nobody_is_asked_where_the_rate_is_used_up(tmp_path: Path) -> None:
    async with one_asked(tmp_path) as asked:
        asked.rules('decide = "ask"\nrate = "1/1h"')
        asked.answers("yes")
        await asked.engine.login(URL, DEVPI.encode())
        assert (await asked.fetch())["consent"] == "asked"
        refused = await asked.fetch(projects="mine")
        assert "rate limit is 1" in refused["message"]
        assert asked.questions == 1


@pytest.mark.parametrize(
    ("secret", "wish", "why"),
    [
        ("a password", {}, "cannot be attenuated"),
        (DEVPI, {"at": "/no/such/folder/s"}, "cannot be made"),
    ],
)
async def test_nobody_is_asked_about_a_share_that_cannot_be(
    tmp_path: Path, secret: str, wish: dict[str, Any], why: str
) -> None:
    async with one_asked(tmp_path) as asked:
        asked.rules('decide = "ask"\nrate = "1/1h"')
        asked.answers("yes")
        await asked.engine.login(URL, secret.encode())
        server = served(asked.engine)
        assert why in (await asked.share(**wish))["message"]
        assert asked.questions == 0
        assert not asked.engine.authorizer.has_state()
        await server.close()


async def test_a_rate_counts_no_fetch_at_a_share_that_cannot_be(tmp_path: Path) -> None:
    async with one_asked(tmp_path) as asked:
        server = served(asked.engine)
        asked.rules('decide = "allow"\nrate = "2/1h"')
        await asked.engine.ask("logout", service=URL)
        await asked.engine.login(URL, FOR_ONE.encode())
        path = str((await asked.share())["socket"])
        wishes: list[dict[str, Any]] = [{"projects": "two"}, {}, {}]
        answers = [await asked_at(path, "fetch", service=URL, **wish) for wish in wishes]
        assert [answer["ok"] for answer in answers] == [False, True, False]
        asked.engine.share_requests.close()
        await server.close()
