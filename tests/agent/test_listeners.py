"""Several ways into one agent: whoever crowds one of them takes nothing from those at another."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from typing import TYPE_CHECKING, NamedTuple

from support.waiting import PATIENCE, until_in_loop
from tokenward_agent.arena import Arena
from tokenward_agent.wire import server
from tokenward_agent.wire.answer import Answer, success_answer
from tokenward_agent.wire.listener import Listener
from tokenward_agent.wire.server import Server
from tokenward_os.files import uid
from tokenward_protocol.frames import MAX_BODY, make_frame
from tokenward_protocol.messages import make_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest

    from tokenward_agent.wire.request import Request

GUESTS = 3


def echo(request: Request, body: memoryview) -> Answer:
    return success_answer(request.number, None, size=len(body))


class Client:
    """One connection."""

    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(path))
        self.sock.setblocking(False)

    async def send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # it may have been hung up on
            await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def is_answered(self) -> bool:
        await self.send(WHOLE)
        return not await self.is_gone()

    async def is_gone(self) -> bool:
        try:
            async with asyncio.timeout(PATIENCE):
                return not await asyncio.get_running_loop().sock_recv(self.sock, 1 << 16)
        except ConnectionResetError:
            return True


class Serving(NamedTuple):
    """A server with a way in of its own and several others, of which each takes four at a time."""

    server: Server
    arena: Arena
    folder: Path
    clients: list[Client]

    async def connect(self, name: str) -> Client:
        came = self.server.came
        self.clients.append(client := Client(self.folder / name))
        for _ in range(3):  # a turn of the loop in which it is let in, or turned away
            await asyncio.sleep(0)
        assert self.server.came <= came + 1
        return client


@contextlib.asynccontextmanager
async def serving(folder: Path, most: int = 4) -> AsyncIterator[Serving]:
    def listener(name: str) -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        made.bind(str(folder / name))
        return made

    arena = Arena(1 << 20)
    served = Server(listener("own"), arena, echo)
    for number in range(GUESTS):
        served.add_listener(
            Listener(
                listener(f"guest-{number}"),
                echo,
                admits_uid={uid()}.__contains__,
                max_connections=most,
            )
        )
    try:
        yield (serving := Serving(served, arena, folder, []))
        for client in serving.clients:
            client.sock.close()
    finally:
        await served.close()


HALF = make_frame(
    make_request("login", 1, {"service": "https://a.example/", "username": "a"}), b"x" * 9000
)
WHOLE = make_frame(
    make_request("login", 1, {"service": "https://a.example/", "username": "a"}), b"x"
)
LARGE = make_frame(
    make_request("login", 1, {"service": "https://a.example/", "username": "a"}), b"x" * MAX_BODY
)


async def test_half_requests_of_guests_break_no_login_of_the_owner_that_comes_in_parts(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, most=31) as served:
        owner = await served.connect("own")
        quiet = served.arena.free_bytes
        await owner.send(LARGE[:40_000])
        await until_in_loop(lambda: served.arena.free_bytes <= quiet - 40_000)
        for number in range(40 * GUESTS):
            guest = await served.connect(f"guest-{number % GUESTS}")
            await guest.send(HALF[:-1])
            await asyncio.sleep(0)
        await owner.send(LARGE[40_000:])
        assert not await owner.is_gone()


async def test_a_full_listener_closes_its_own_oldest_connection(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        owner = await served.connect("own")
        others = [await served.connect("guest-1") for _ in range(4)]
        for each in (owner, *others):
            assert await each.is_answered()
        crowd = [await served.connect("guest-0") for _ in range(6)]
        assert await crowd[0].is_gone()
        assert await crowd[1].is_gone()
        for each in (*crowd[2:], *others, owner):
            assert await each.is_answered()


async def test_guests_leave_the_owner_room_however_many_listeners_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 12)
    async with serving(tmp_path) as served:
        first = [await served.connect("guest-0") for _ in range(3)]
        for each in first:
            assert await each.is_answered()
        late = await served.connect("guest-1")  # a quarter is taken: it has none to close
        assert await late.is_gone()
        own = [await served.connect("own") for _ in range(9)]
        for each in own:
            assert await each.is_answered()
        newest = await served.connect("own")
        assert await newest.is_answered()
        assert await own[0].is_gone()
        for each in first:
            assert await each.is_answered()


async def test_without_descriptors_a_guest_is_no_reason_to_hang_up_on_the_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path) as served:
        owner = await served.connect("own")
        assert await owner.is_answered()
        guest = socket.socket(socket.AF_UNIX)
        guest.setblocking(False)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        monkeypatch.setattr(served.server, "_pause", paused := _Calls())
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (guest.fileno() + 1, hard))
            guest.connect(str(tmp_path / "guest-0"))
            await until_in_loop(lambda: paused.count)
            assert await owner.is_answered()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            guest.close()


class _Calls:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self, _listener: Listener) -> None:
        self.count += 1


async def test_a_guest_cannot_hold_more_than_a_fetch_is_long(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        guest = await served.connect("guest-0")
        await guest.send(LARGE[:-1])
        assert await guest.is_gone()
        assert await (await served.connect("guest-0")).is_answered()
