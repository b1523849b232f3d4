"""A relay that was taken over, as the agent sees it: it says anything, and gets what was granted.

The relay is a script in its place, so that it can say what no relay of ours does. The agent is real,
behind a real socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import msgpack
import pytest

from support.agents.in_process import Engine
from support.agents.served import there
from support.inspection.processes import is_running, own_descriptors
from support.waiting import until_in_loop
from tokenward_agent.peer.peer import Peer
from tokenward_agent.relay import process
from tokenward_agent.requests import runs
from tokenward_agent.requests.run_answers import RunAnswers
from tokenward_agent.wire.server import Server
from tokenward_protocol.frames import PREFIX, make_frame, read_sizes
from tokenward_protocol.messages import make_request
from tokenward_protocol.packing import unpack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

INDEX = "https://index.example/simple/"
UPLOADS = "https://index.example/legacy/"
SECRET = b"a secret that is long enough"
READ, PUBLISH = 0, 1
DIGEST = "0a" * 32
FACTS = {
    "project": "mine",
    "version": "1.9",
    "file": "mine-1.9.tar.gz",
    "size": 9,
    "sha256": DIGEST,
}

LIES = """
import msgpack, os, sys, time
folder, begins, says = sys.argv[1], bytes.fromhex(sys.argv[2]), bytes.fromhex(sys.argv[3])
def read(size):
    data = b""
    while len(data) < size:
        more = os.read(0, size - len(data))
        if not more: os._exit(0)
        data += more
    return data
def message():
    header = msgpack.unpackb(read(int.from_bytes(read(4), "big")))
    return header, read(header["size"])
message()  # a spare relay gets no more than this
message()
open(folder + "/pid", "w").write(str(os.getpid()))
while os.path.exists(folder + "/wait"): time.sleep(0.01)
os.write(1, begins)
os.write(1, says)
while True:
    header, secret = message()
    with open(folder + "/got", "a") as file:
        file.write(repr((header, secret)) + "\\n")
"""


def frame(said: object) -> bytes:
    packed: bytes = msgpack.packb(said)  # pyright: ignore[reportAssignmentType] - never None here
    return len(packed).to_bytes(4, "big") + packed


READY = frame({"ok": True, "port": 4711})


class Client:
    """A connection to the agent, as `auth exec` has one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def at(cls, engine: Engine) -> Client:
        return cls(*await asyncio.open_unix_connection(str(engine.root / "agent.sock")))

    async def ask(self, op: str, body: bytes = b"", **arguments: Any) -> dict[str, Any]:
        self.writer.write(make_frame(make_request(op, 1, arguments), body))
        whole, header = read_sizes(await self.reader.readexactly(PREFIX))
        data = await self.reader.readexactly(whole - PREFIX)
        return unpack(data[:header])

    async def grant(self) -> None:
        uploads = {"upload": "/legacy/", "projects": "mine"}
        wanted: tuple[dict[str, Any], ...] = ({"service": INDEX}, {"service": UPLOADS, **uploads})
        for more in wanted:
            answer = await self.ask("grant", username="ana", name="corp", **more)
            assert answer["ok"] is True, answer

    async def run(self) -> dict[str, Any]:
        await self.grant()
        return await self.ask("run", b"\n\n\n")

    def close(self) -> None:
        self.writer.close()


class Agent:
    """A real agent in this loop, whose relays are scripts."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.engine = Engine(root)
        self.clients: list[Client] = []
        self.is_serving = True

    async def open(self) -> None:
        import socket

        await self.engine.make("disabled")
        await self.engine.login("https://index.example/", SECRET)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.root / "agent.sock"))
        self.server = Server(listener, self.engine.arena, self.engine.dispatch, Peer)

    async def close(self) -> None:
        await self.engine.run_requests.end("the test has ended")
        for client in self.clients:
            client.close()
        if self.is_serving:
            await self.stop()
        await asyncio.sleep(0.05)

    async def stop(self) -> None:
        self.is_serving = False
        await self.server.close()

    async def client(self) -> Client:
        self.clients.append(client := await Client.at(self.engine))
        return client

    @property
    def count(self) -> int:
        return len(self.engine.run_requests.overview())

    def got(self) -> list[tuple[dict[str, Any], bytes]]:
        """Return what the relay was answered."""
        path = self.root / "got"
        return [eval(line) for line in path.read_text().splitlines()] if path.exists() else []

    def log(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of an event in the audit log."""
        text = "".join(path.read_text() for path in sorted(self.root.rglob("*.log")))
        text += "".join(path.read_text() for path in sorted(self.root.rglob("*.jsonl")))
        lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("event") == event]


def played(
    monkeypatch: pytest.MonkeyPatch, root: Path, says: bytes = b"", begins: bytes = READY
) -> None:
    """Have relays be scripts that say this."""
    command = [sys.executable, "-I", "-c", LIES, str(root), begins.hex(), says.hex()]
    monkeypatch.setattr(process, "worker_command", lambda _job: command)


@contextlib.asynccontextmanager
async def one_agent(root: Path) -> AsyncIterator[Agent]:
    agent = Agent(root)
    await agent.open()
    try:
        yield agent
    finally:
        await agent.close()


REFUSED: dict[str, dict[str, Any]] = {
    "a grant that is not there": {"ask": "read", "grant": 7},
    "a grant below nothing": {"ask": "read", "grant": -1},
    "a grant by name": {"ask": "read", "grant": "0"},
    "no grant": {"ask": "read"},
    "a read of what may be published": {"ask": "read", "grant": PUBLISH},
    "an upload to what may be read": {"ask": "publish", "grant": READ, **FACTS},
    "another project": {"ask": "publish", "grant": PUBLISH, **FACTS, "project": "theirs"},
    "no project": {"ask": "publish", "grant": PUBLISH, **FACTS, "project": ""},
    "a project in a list": {"ask": "publish", "grant": PUBLISH, **FACTS, "project": ["mine"]},
    "a digest of another form": {"ask": "publish", "grant": PUBLISH, **FACTS, "sha256": "mine"},
    "a size in words": {"ask": "publish", "grant": PUBLISH, **FACTS, "size": "9"},
    "a name that is too long": {"ask": "publish", "grant": PUBLISH, **FACTS, "file": "x" * 9999},
    "no facts": {"ask": "publish", "grant": PUBLISH},
    "another question": {"ask": "whole", "grant": READ},
    "a question that is a list": {"ask": ["read"], "grant": READ},
    "a question that is nothing": {"ask": None, "grant": READ},
}


@pytest.mark.parametrize("question", REFUSED.values(), ids=REFUSED.keys())
async def test_a_question_for_what_was_not_granted_is_refused_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, question: dict[str, Any]
) -> None:
    fair = {"id": 2, "ask": "read", "grant": READ}
    played(monkeypatch, tmp_path, frame({"id": 1, **question}) + frame(fair))
    async with one_agent(tmp_path) as agent:
        client = await agent.client()
        assert (await client.run())["ok"] is True
        await until_in_loop(lambda: len(agent.got()) == 2)
        answers = {header["id"]: (header, secret) for header, secret in agent.got()}
        assert answers[1][0]["ok"] is False
        assert answers[1][1] == b""
        assert answers[2] == ({"ok": True, "username": "ana", "id": 2, "size": len(SECRET)}, SECRET)
        assert agent.count == 1
        assert agent.log("publish") == []


BROKEN: dict[str, bytes] = {
    "a header of a megabyte": (1 << 20).to_bytes(4, "big"),
    "a header of four gigabytes": b"\xff\xff\xff\xff",
    "no msgpack": b"\0\0\0\4\xc1\xc1\xc1\xc1",
    "half a map": b"\0\0\0\2\x85\xa3",
    "more than a map": b"\0\0\0\2\x80\x80",
    "a list": frame([1, 2]),
    "a list with the word": frame(["ask"]),
    "a text": frame("ask"),
    "a number": frame(7),
    "nothing": frame(None),
    "a map in a map as a key": b"\0\0\0\3\x81\x80\x01",
    "a question without a number": frame({"ask": "read", "grant": READ}),
    "a question with a text as its number": frame({"ask": "read", "grant": READ, "id": "x" * 99}),
    "a very deep list": b"\0\0\x20\0" + b"\x91" * 0x2000,
}


@pytest.mark.parametrize("said", BROKEN.values(), ids=BROKEN.keys())
async def test_what_is_no_message_ends_the_run_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    played(monkeypatch, tmp_path, said)
    async with one_agent(tmp_path) as agent:
        client = await agent.client()
        answer = await client.run()
        assert answer["ok"] is True
        await until_in_loop(lambda: agent.count == 0)
        pid = int((agent.root / "pid").read_text())
        await until_in_loop(lambda: not is_running(pid))
        assert agent.got() == []
        await until_in_loop(lambda: not there(str(answer["folder"])))
        assert (await client.ask("hello"))["ok"] is True


@pytest.mark.parametrize(
    "begins",
    [
        b"",
        b"\xff\xff\xff\xff",
        frame([]),
        frame({}),
        frame({"ok": True}),
        frame({"ok": True, "port": "x"}),
        frame({"ok": False}),
        frame({"ok": False, "code": "worker", "message": "No.", "hint": ""}),
    ],
    ids=["nothing", "too-long", "list", "empty", "no-port", "odd-port", "no-reason", "refuses"],
)
async def test_a_relay_that_does_not_start_is_a_failed_run_that_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begins: bytes
) -> None:
    played(monkeypatch, tmp_path, begins=begins)
    monkeypatch.setattr(process, "START_SECONDS", 1.0)
    async with one_agent(tmp_path) as agent:
        client = await agent.client()
        await client.run()
        before = own_descriptors()
        answer = await client.run()
        assert answer["code"] == "refused"
        pid = int((agent.root / "pid").read_text())
        await until_in_loop(lambda: not is_running(pid))
        assert agent.count == 0
        assert own_descriptors() <= before
        assert list(agent.root.glob("*.runs/*")) == []


async def test_reports_of_uploads_that_were_not_allowed_are_in_no_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"tell": "published", "grant": PUBLISH, "status": "200", **FACTS}
    ask = {"id": 1, "ask": "publish", "grant": PUBLISH, **FACTS}
    second = {**ask, "id": 2}
    says = [
        {**told, "status": "200 and more, as it likes"},  # for nothing that was allowed
        {"tell": "other"},
        {"tell": "published"},
        {},
        ask,
        second,  # the same file again, at the same time
    ]
    played(monkeypatch, tmp_path, b"".join(map(frame, says)))
    async with one_agent(tmp_path) as agent:
        client = await agent.client()
        assert (await client.run())["ok"] is True
        await until_in_loop(lambda: len(agent.got()) == 2)
        assert all(header["ok"] for header, _ in agent.got())
        assert len(agent.log("publish")) == 2
        assert agent.log("published") == []
        await agent.engine.run_requests.end("as a lock does")
        assert [line["status"] for line in agent.log("published")] == ["unknown", "unknown"]


async def test_the_status_of_an_upload_is_a_number_or_one_of_two_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = ["200", "unknown", "not-sent", "", "20", "fine\nand more", "x" * 99, 201, None, ["1"]]
    ask = {"ask": "publish", "grant": PUBLISH, **FACTS}
    says = [{"id": number, **ask} for number, _ in enumerate(said)]
    played(monkeypatch, tmp_path, b"".join(map(frame, says)))
    async with one_agent(tmp_path) as agent:
        client = await agent.client()
        assert (await client.run())["ok"] is True
        await until_in_loop(lambda: len(agent.got()) == len(said))
        (run,) = agent.engine.run_requests._open.values()
        for number, status in enumerate(said):
            run.relay._hear({"tell": "published", "upload": number, "status": status})
        found = [line["status"] for line in agent.log("published")]
        assert found == ["200", "unknown", "not-sent", *["unknown"] * 4, "201", *["unknown"] * 2]


async def test_a_second_question_with_the_number_of_an_upload_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the log would lose the end of the first."""
    ask = {"id": 1, "ask": "publish", "grant": PUBLISH, **FACTS}
    played(monkeypatch, tmp_path, frame(ask) + frame(ask))
    async with one_agent(tmp_path) as agent:
        client = await agent.client()
        assert (await client.run())["ok"] is True
        await until_in_loop(lambda: len(agent.got()) == 2)
        assert sorted(header["ok"] for header, _ in agent.got()) == [False, True]
        assert len(agent.log("publish")) == 1


async def test_an_answer_that_fails_within_the_agent_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(monkeypatch, tmp_path, frame({"id": 1, "ask": "read", "grant": READ}))

    async def fails(*_: object) -> None:
        raise RuntimeError(SECRET.decode())

    async with one_agent(tmp_path) as agent:
        monkeypatch.setattr("tokenward_agent.requests.run_answers.RunAnswers._ask", fails)
        client = await agent.client()
        assert (await client.run())["ok"] is True
        await until_in_loop(lambda: len(agent.got()) == 1)
        ((header, secret),) = agent.got()
        assert (header["ok"], header["status"], secret) == (False, 502, b"")
        assert SECRET.decode() not in repr(header)
        assert agent.count == 1


async def test_no_more_runs_begin_than_there_may_be_not_even_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(monkeypatch, tmp_path)
    monkeypatch.setattr(runs, "MOST_RUNS", 3)
    async with one_agent(tmp_path) as agent:
        clients = [await agent.client() for _ in range(6)]
        answers = await asyncio.gather(*(client.run() for client in clients))
        assert sorted(answer["ok"] for answer in answers) == [False] * 3 + [True] * 3
        assert {answer.get("code") for answer in answers} == {None, "busy"}
        assert agent.count == 3
        await agent.engine.run_requests.end("as a lock does")
        assert agent.count == 0
        assert (await clients[0].run())["code"] == "busy"  # the commands of ended runs live on


async def test_a_client_that_asks_for_grants_and_never_for_a_run_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(monkeypatch, tmp_path)
    async with one_agent(tmp_path) as agent:
        requests = agent.engine.run_requests
        for _ in range(40):
            client = await agent.client()
            await client.grant()
            client.close()

        def gone() -> bool:
            gc.collect()
            return len(requests._drafts) == 0

        await until_in_loop(gone)
        greedy = await agent.client()
        for _ in range(runs.MOST_GRANTS // 2):
            await greedy.grant()
        answer = await greedy.ask("grant", service=INDEX, username="ana")
        assert answer["code"] == "busy"
        assert (await greedy.ask("run", b"\n\n\n"))["ok"] in {True, False}
        assert (await greedy.ask("run", b"\n\n\n"))[
            "code"
        ] == "bad-request"  # they were for one run


async def test_a_lock_ends_a_run_that_is_just_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(monkeypatch, tmp_path)
    async with one_agent(tmp_path) as agent:
        (agent.root / "wait").touch()
        client, other = await agent.client(), await agent.client()
        beginning = asyncio.ensure_future(client.run())
        await until_in_loop((agent.root / "pid").exists)
        assert (await other.ask("lock"))["ok"] is True
        (agent.root / "wait").unlink()
        assert (await beginning)["code"] == "locked"
        assert agent.count == 0
        pid = int((agent.root / "pid").read_text())
        await until_in_loop(lambda: not is_running(pid))


async def test_a_lock_has_ended_the_relays_when_it_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = {"id": 1, "ask": "publish", "grant": PUBLISH, **FACTS}
    played(monkeypatch, tmp_path, frame(ask))
    async with one_agent(tmp_path) as agent:
        client, other = await agent.client(), await agent.client()
        answer = await client.run()
        await until_in_loop(lambda: len(agent.got()) == 1)
        assert (await other.ask("lock"))["ok"] is True
        assert agent.count == 0
        await until_in_loop(lambda: not is_running(int((agent.root / "pid").read_text())))
        assert not there(str(answer["folder"]))
        assert [line["status"] for line in agent.log("published")] == ["unknown"]


async def test_an_agent_that_ends_while_a_run_begins_leaves_no_relay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(monkeypatch, tmp_path)
    async with one_agent(tmp_path) as agent:
        (agent.root / "wait").touch()
        client = await agent.client()
        beginning = asyncio.ensure_future(client.run())
        await until_in_loop((agent.root / "pid").exists)
        await agent.stop()
        pid = int((agent.root / "pid").read_text())
        await until_in_loop(lambda: not is_running(pid))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await beginning


async def test_a_lock_at_the_moment_of_a_yes_leaves_no_answer_and_a_line_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(monkeypatch, tmp_path, frame({"id": 1, "ask": "publish", "grant": PUBLISH, **FACTS}))
    asked: list[object] = []
    ask = RunAnswers._ask

    async def asks(*arguments: Any) -> Any:
        found = await ask(*arguments)
        asked.append(found)
        await yes.wait()
        return found

    yes = asyncio.Event()
    async with one_agent(tmp_path) as agent:
        monkeypatch.setattr(RunAnswers, "_ask", asks)
        client, other = await agent.client(), await agent.client()
        assert (await client.run())["ok"] is True
        await until_in_loop(lambda: asked)
        assert (await other.ask("lock"))["ok"] is True
        yes.set()
        await until_in_loop(lambda: agent.log("published"))
        assert [line["status"] for line in agent.log("published")] == ["not-sent"]
        assert [header for header, _ in agent.got() if "id" in header] == []


async def test_a_run_ends_after_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clock that counts sleep."""
    played(monkeypatch, tmp_path)
    monkeypatch.setattr(runs, "_LOOK_SECONDS", 0.01)
    async with one_agent(tmp_path) as agent:
        client = await agent.client()
        assert (await client.run())["ok"] is True
        agent.engine.clock.boot_now += 24 * 3600 - 1
        await asyncio.sleep(0.1)
        assert agent.count == 1
        agent.engine.clock.boot_now += 1
        await until_in_loop(lambda: agent.count == 0)


async def test_the_next_agent_removes_what_a_killed_one_left_of_its_runs(tmp_path: Path) -> None:
    async with one_agent(tmp_path) as agent:
        left, others = agent.root / "agent.sock.runs/0a1b", agent.root / "b.sock.runs/0a1b"
        target = agent.root / "precious"
        for folder in (left, others, target):
            folder.mkdir(parents=True)
            (folder / "x.pem").touch()
        (agent.root / "agent.sock.runs/link").symlink_to(target)
        agent.engine.run_requests.remove_leftovers()
        assert not left.exists()
        assert (others / "x.pem").exists()  # another agent's, which may live
        assert (target / "x.pem").exists()
        (agent.root / "agent.sock.runs").symlink_to(target)
        agent.engine.run_requests.remove_leftovers()
        assert (target / "x.pem").exists()


async def test_the_folder_of_a_run_is_closed_to_others_and_goes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(monkeypatch, tmp_path)
    before = os.umask(0o77)
    try:
        async with one_agent(tmp_path) as agent:
            os.umask(0)
            client = await agent.client()
            folder = str((await client.run())["folder"])
            assert os.stat(folder).st_mode & 0o777 == 0o700  # noqa: PTH116
            assert os.listdir(folder) == []  # noqa: PTH208 - and no key of any kind
            await agent.engine.run_requests.end("as a lock does")
            assert not there(folder)
    finally:
        os.umask(before)
