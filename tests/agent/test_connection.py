"""Connections over real sockets: order, deadlines, limits, and memory that is given back."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from support.waiting import until_in_loop
from tokenward_agent.arena import Arena
from tokenward_agent.failure import Failure, KeyDestroyed
from tokenward_agent.wire import connection, server
from tokenward_agent.wire.answer import Answer, failure_answer, success_answer
from tokenward_agent.wire.request import Request
from tokenward_agent.wire.server import Server
from tokenward_protocol.frames import MAX_BODY, PREFIX, make_frame, read_sizes
from tokenward_protocol.messages import make_request
from tokenward_protocol.packing import unpack

if TYPE_CHECKING:
    from pathlib import Path

    from tokenward_protocol.packing import Value

Dispatch = Callable[[Request, memoryview], "Answer | Awaitable[Answer]"]


class Secret:
    """A secret that is there as long as `gone` is not set."""

    def __init__(self, data: bytes) -> None:
        self.data = self.sealed = data
        self.size = len(data)
        self.gone = False

    def open_into(self, view: memoryview) -> None:
        if self.gone:
            raise KeyDestroyed
        view[:] = self.data


class Serving:
    """A server on a socket of its own, with its arena."""

    def __init__(self, path: Path, dispatch: Dispatch) -> None:
        self.path = path
        self.arena = Arena(1 << 20)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        self.server = Server(listener, self.arena, dispatch)
        self.quiet = self.arena.free_bytes

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(str(self.path))


@asynccontextmanager
async def serving(path: Path, dispatch: Dispatch) -> AsyncIterator[Serving]:
    served = Serving(path / "s", dispatch)
    yield served
    await served.server.close()
    assert served.arena.free_bytes == len(served.arena.view), "a block was not given back"


async def answer(reader: asyncio.StreamReader) -> tuple[dict[str, Value], bytes]:
    whole, header = read_sizes(start := await reader.readexactly(PREFIX))
    rest = await reader.readexactly(whole - len(start))
    return unpack(rest[:header]), rest[header:]


def echo(request: Request, body: memoryview) -> Answer:
    return success_answer(request.number, Secret(bytes(body)) if len(body) else None)


def login(number: int, body: bytes) -> bytes:
    arguments: dict[str, Value] = {"service": "https://a.example/", "username": "u"}
    return make_frame(make_request("login", number, arguments), body)


async def test_frames_are_answered_however_they_are_cut(tmp_path: Path) -> None:
    async with serving(tmp_path, echo) as served:
        reader, writer = await served.connect()
        data = b"".join(login(n, b"secret %d" % n) for n in range(20))
        for size in (1, 7, 64, len(data)):
            for at in range(0, len(data), size):
                writer.write(data[at : at + size])
                await writer.drain()
                await asyncio.sleep(0)
            for n in range(20):
                assert await answer(reader) == ({"id": n, "ok": True}, b"secret %d" % n)
        assert served.arena.free_bytes == served.quiet
        writer.close()


async def test_answers_keep_the_order_of_the_requests_even_where_one_takes_longer(
    tmp_path: Path,
) -> None:
    gate = asyncio.Event()

    async def slow(request: Request) -> Answer:
        await gate.wait()
        return success_answer(request.number)

    def dispatch(request: Request, body: memoryview) -> Answer | Awaitable[Answer]:
        return slow(request) if request.op == "lock" else echo(request, body)

    async with serving(tmp_path, dispatch) as served:
        reader, writer = await served.connect()
        writer.write(login(1, b"a") + make_frame(make_request("lock", 2, {})) + login(3, b"b")[:-4])
        assert (await answer(reader))[0]["id"] == 1
        writer.write(login(3, b"b")[-4:] + login(4, b"c"))
        other, second = await served.connect()
        second.write(login(9, b"beside"))
        assert (await answer(other))[1] == b"beside"
        gate.set()
        assert [(await answer(reader))[0]["id"] for _ in range(3)] == [2, 3, 4]
        writer.close()
        second.close()


def test_between_two_of_many_requests_everybody_else_has_a_turn(tmp_path: Path) -> None:
    order: list[str] = []

    def dispatch(request: Request, body: memoryview) -> Answer:
        order.append("many" if request.number < 100 else "one")
        return echo(request, body)

    async def main() -> None:
        async with serving(tmp_path, dispatch) as served:
            many, writer = await served.connect()
            one, second = await served.connect()
            writer.write(b"".join(login(n, b"secret %d" % n) for n in range(100)))
            for n in range(10):
                second.write(login(100 + n, b"x"))
                assert (await answer(one))[0]["id"] == 100 + n
            for n in range(100):
                assert (await answer(many))[1] == b"secret %d" % n
            writer.close()
            second.close()

    asyncio.run(main())
    assert order.index("one") < 50, "the first of the others waited for all of the many"
    assert "many" in order[order.index("one") :], "there was nobody to wait for"


async def test_an_answer_that_is_not_taken_waits_and_comes_whole(tmp_path: Path) -> None:
    big = bytes(range(256)) * (MAX_BODY // 256)
    async with serving(tmp_path, lambda r, _: success_answer(r.number, Secret(big))) as served:
        reader, writer = await served.connect()
        writer.write(b"".join(make_frame(make_request("lock", n, {})) for n in range(100)))
        await asyncio.sleep(0.05)  # the buffers of the socket are full by now
        assert not any(served.server.output), "plaintext was left between two callbacks"
        for n in range(100):
            header, body = await answer(reader)
            assert (header["id"], body) == (n, big)
        writer.close()


async def test_a_secret_whose_key_is_destroyed_is_not_sent_on(tmp_path: Path) -> None:
    secret = Secret(b"x" * MAX_BODY)
    async with serving(tmp_path, lambda r, _: success_answer(r.number, secret)) as served:
        reader, writer = await served.connect()
        writer.write(b"".join(make_frame(make_request("lock", n, {})) for n in range(100)))
        await asyncio.sleep(0.05)
        secret.gone = True
        rest = await reader.read()
        assert len(rest) < 100 * MAX_BODY
        writer.close()


async def test_half_a_frame_is_hung_up_on_after_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "FRAME_SECONDS", 0.05)
    async with serving(tmp_path, echo) as served:
        _, idle = await served.connect()
        reader, writer = await served.connect()
        data = login(1, b"never whole")
        for at in range(len(data) - 1):  # a byte now and then does not buy more time
            writer.write(data[at : at + 1])
            await asyncio.sleep(0.005)
            if reader.at_eof():
                break
        with suppress(BrokenPipeError):  # a byte more was on its way when it was hung up
            assert await reader.read() == b""
        assert served.arena.free_bytes == served.quiet
        idle.write(login(2, b"x"))
        await idle.drain()
        writer.close()
        idle.close()


@pytest.mark.parametrize(
    ("start", "code"),
    [
        (b"\xff\xff\xff\xff\x00\x10", "too-large"),
        ((2 + MAX_BODY + 1).to_bytes(4, "big") + b"\0\0", "too-large"),
        (b"\x00\x00\x00\x01\x00\x00", "bad-frame"),
    ],
)
async def test_a_frame_that_lies_is_answered_once_and_hung_up_on(
    tmp_path: Path, start: bytes, code: str
) -> None:
    async with serving(tmp_path, echo) as served:
        reader, writer = await served.connect()
        writer.write(start + b"x" * 100)
        header, _ = await answer(reader)
        assert (header["id"], header["ok"], header["code"]) == (0, False, code)
        assert await reader.read() == b""
        writer.close()


async def test_a_bad_header_is_answered_and_the_connection_goes_on(tmp_path: Path) -> None:
    async with serving(tmp_path, echo) as served:
        reader, writer = await served.connect()
        writer.write(make_frame(b"\xc1", b"x") + login(5, b"good"))
        assert (await answer(reader))[0]["code"] == "bad-header"
        assert await answer(reader) == ({"id": 5, "ok": True}, b"good")
        writer.close()


async def test_a_disconnect_at_any_byte_leaves_nothing_behind(tmp_path: Path) -> None:
    async with serving(tmp_path, echo) as served:
        data = login(1, b"secret")
        for end in range(len(data)):
            _, writer = await served.connect()
            writer.write(data[:end])
            await writer.drain()
            writer.close()
            await asyncio.sleep(0)
        await until_in_loop(lambda: served.arena.free_bytes == served.quiet)


async def test_past_the_limit_the_longest_idle_connection_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 3)
    async with serving(tmp_path, echo) as served:
        peers = [await served.connect() for _ in range(3)]
        for n, (reader, writer) in enumerate(peers):
            writer.write(login(n, b"x"))
            await answer(reader)
        peers[0][1].write(login(9, b"x"))  # now the second is the longest quiet one
        await answer(peers[0][0])
        late, writer = await served.connect()
        writer.write(login(1, b"late"))
        assert (await answer(late))[1] == b"late"
        assert await peers[1][0].read() == b""
        for _, each in [*peers, (late, writer)]:
            each.close()


async def test_who_waits_for_an_answer_does_not_give_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 3)
    gate = asyncio.Event()

    async def slow(request: Request) -> Answer:
        await gate.wait()
        return success_answer(request.number)

    def dispatch(request: Request, body: memoryview) -> Answer | Awaitable[Answer]:
        return slow(request) if request.op == "lock" else echo(request, body)

    async with serving(tmp_path, dispatch) as served:
        waiting, writer = await served.connect()
        writer.write(make_frame(make_request("lock", 1, {})))
        for n in range(5):
            reader, each = await served.connect()
            each.write(login(n, b"x"))
            assert (await answer(reader))[1] == b"x"
            each.close()
        idle = [await served.connect() for _ in range(5)]
        reader, each = await served.connect()
        each.write(login(9, b"late"))
        assert (await answer(reader))[1] == b"late"
        gate.set()
        assert (await answer(waiting))[0] == {"id": 1, "ok": True}
        for _, one in [*idle, (waiting, writer), (reader, each)]:
            one.close()


async def test_a_frame_takes_no_more_room_than_what_came_of_it(tmp_path: Path) -> None:
    async with serving(tmp_path, echo) as served:
        claims = [await served.connect() for _ in range(50)]
        whole = login(1, b"x" * MAX_BODY)
        for _, writer in claims:
            writer.write(whole[:100])
            await writer.drain()
        reader, writer = await served.connect()
        writer.write(login(2, b"good"))
        assert (await answer(reader))[1] == b"good"
        assert served.quiet - served.arena.free_bytes <= 50 * 128
        for _, each in [*claims, (reader, writer)]:
            each.close()


@pytest.mark.parametrize("size", [5_000, 20_000, MAX_BODY])
async def test_half_frames_give_way_and_leave_half_of_the_locked_memory_to_others(
    size: int, tmp_path: Path
) -> None:
    async with serving(tmp_path, echo) as served:
        hungry = [await served.connect() for _ in range(3 * (1 << 20) // size // 2)]
        for _, writer in hungry:
            writer.write(login(1, b"x" * size)[:-1])
            await writer.drain()
        late, second = await served.connect()
        whole = login(3, b"y" * MAX_BODY)
        for part in (whole[:-9], whole[-9:]):  # in two parts, so that it is held for a moment
            second.write(part)
            await second.drain()
            await asyncio.sleep(0.01)
        assert (await answer(late))[1] == b"y" * MAX_BODY
        second.close()
        assert served.arena.free_bytes >= len(served.arena.view) // 2
        reader, writer = await served.connect()
        writer.write(login(2, b"good"))
        assert (await answer(reader))[1] == b"good"
        for _, each in [*hungry, (reader, writer)]:
            each.close()


async def test_nobody_gives_way_where_descriptors_are_out_and_nobody_comes(tmp_path: Path) -> None:
    async with serving(tmp_path, echo) as served:
        reader, writer = await served.connect()
        writer.write(login(1, b"x"))
        await answer(reader)
        usual = resource.getrlimit(resource.RLIMIT_NOFILE)
        (listener,) = served.server._listeners
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, usual[1]))
        try:
            served.server._acceptable(listener)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, usual)
        writer.write(login(2, b"still here"))
        assert (await answer(reader))[1] == b"still here"
        writer.close()


async def test_a_failed_request_is_answered_with_code_sentence_and_hint(tmp_path: Path) -> None:
    def dispatch(request: Request, _body: memoryview) -> Answer:
        return failure_answer(request.number, Failure("not-found", "No.", "auth login", extra=1))

    async with serving(tmp_path, dispatch) as served:
        reader, writer = await served.connect()
        writer.write(make_frame(make_request("lock", 3, {})))
        header, _ = await answer(reader)
        assert list(header.items()) == [
            ("id", 3),
            ("ok", False),
            ("code", "not-found"),
            ("message", "No."),
            ("hint", "auth login"),
            ("extra", 1),
        ]
        writer.close()


@pytest.mark.parametrize("later", [False, True])
async def test_where_not_even_a_refusal_can_be_made_nobody_waits_for_one(
    later: bool, tmp_path: Path
) -> None:
    async def fail() -> Answer:
        raise MemoryError

    def dispatch(request: Request, body: memoryview) -> Answer | Awaitable[Answer]:
        if request.op == "login":
            return echo(request, body)
        if later:
            return fail()
        raise MemoryError

    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    async with serving(tmp_path, dispatch) as served:
        reader, writer = await served.connect()
        writer.write(make_frame(make_request("lock", 1, {})) + login(2, b"behind")[:-1])
        assert await reader.read() == b""
        assert served.arena.free_bytes == served.quiet
        other, second = await served.connect()
        second.write(login(3, b"good"))
        assert (await answer(other))[1] == b"good"
        writer.close()
        second.close()
