"""The pipe between the two: how it is made, who is let in, and what a client looks at first."""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import pytest

assert sys.platform == "win32"

from tokenward.errors import AgentAbsent, AgentUnreachable
from tokenward.transport.pipe_stream import open_stream
from tokenward_agent.arena import Arena
from tokenward_agent.peer.peer import Peer
from tokenward_agent.windows.loop import PipeLoop
from tokenward_agent.windows.pipe import QUOTA, PipeListener
from tokenward_agent.windows.security import Descriptor, descriptor_of, single_user_sddl
from tokenward_agent.wire.answer import Answer, success_answer
from tokenward_agent.wire.listener import AlreadyRunning, ListenAddressError
from tokenward_agent.wire.pipe_address import PipeAddress
from tokenward_agent.wire.server import Server
from tokenward_os.windows import calls
from tokenward_os.windows.calls import own_sid
from tokenward_protocol import places
from tokenward_protocol.frames import PREFIX, find_frame, make_frame
from tokenward_protocol.messages import make_request
from tokenward_protocol.packing import unpack

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tokenward.transport.pipe_stream import PipeStream
    from tokenward_agent.wire.request import Request

SECONDS = 60


@pytest.fixture
def name() -> str:
    return f"{places.PIPES}tokenward-test-{os.urandom(6).hex()}"


@pytest.fixture
def address(name: str) -> Iterator[PipeAddress]:
    found = PipeAddress(name)
    yield found
    found.release()


def spied(monkeypatch: pytest.MonkeyPatch, module: Any, call: str) -> list[tuple[Any, ...]]:
    """Note the arguments of a call, which is made all the same."""
    seen: list[tuple[Any, ...]] = []
    real = getattr(module, call)

    def spy(*arguments: Any) -> Any:
        seen.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(module, call, spy)
    return seen


def served(
    listener: Any,
    act: Callable[[Server], Awaitable[None]],
    answer: Callable[[Request, memoryview], Answer],
    meet: Callable[[Any], object] = lambda _sock: None,
) -> None:
    """Serve until `act` has returned."""

    async def serve() -> None:
        server = Server(listener, Arena(), answer, meet)
        await asyncio.wait_for(act(server), SECONDS)
        await server.close()

    with asyncio.Runner(loop_factory=PipeLoop) as runner:
        runner.run(serve())


def echoed(asked: Request, body: memoryview) -> Answer:
    return success_answer(asked.number, size=len(body))


def ask(stream: PipeStream, number: int, body: bytes = b"") -> dict[str, Any]:
    deadline = monotonic() + SECONDS
    stream.send(make_frame(make_request("unlock", number, {}), body), deadline)
    return answer_on(stream)


def answer_on(stream: PipeStream) -> dict[str, Any]:
    deadline = monotonic() + SECONDS
    data = b""
    while (ends := find_frame(memoryview(data))) is None:
        more = stream.receive(deadline)
        assert more, "hung up"
        data += more
    return dict(unpack(memoryview(data)[PREFIX : ends[0]]))


def test_every_instance_is_for_this_user_alone_and_for_this_machine(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = spied(monkeypatch, calls, "create_named_pipe")
    address = PipeAddress(name)

    async def two_clients(_server: Server) -> None:
        for _ in range(2):
            stream = await asyncio.to_thread(open_stream, name)
            await asyncio.to_thread(ask, stream, 1)
            stream.close()

    served(address.listener, two_clients, echoed)
    address.release()
    assert len(made) == 3  # one more than clients: the name is never free
    duplex, overlapped, first, refuse_remote = 0x3, 0x40000000, 0x00080000, 0x8
    assert [arguments[1] for arguments in made] == [
        duplex | overlapped | first,
        duplex | overlapped,
        duplex | overlapped,
    ]
    assert {arguments[2] for arguments in made} == {refuse_remote}  # bytes, not messages
    assert {ctypes.sizeof(arguments[7]) for arguments in made} == {24}
    assert all(
        arguments[7].lpSecurityDescriptor and not arguments[7].bInheritHandle for arguments in made
    )


def test_a_pipe_says_that_it_is_ours_and_lets_in_nobody_else(address: PipeAddress) -> None:
    sid = own_sid()
    handle = address._pipe._next.fileno()
    assert single_user_sddl(sid) == f"O:{sid}D:P(A;;GA;;;{sid})"
    owner, _, entries = descriptor_of(handle).partition("D:")
    assert owner == f"O:{sid}"
    assert entries.startswith("P(A;;")
    assert entries.count("(") == 1
    assert entries.endswith(f";;;{sid})")


def test_a_client_looks_whose_a_pipe_is_before_it_says_anything(name: str) -> None:
    try:
        theirs = PipeListener(name, Descriptor("O:SYD:P(A;;GA;;;WD)"))
    except OSError:
        pytest.skip("Windows lets nobody make a pipe in another's name")
    stream = open_stream(name)
    assert stream.stranger == "S-1-5-18"
    stream.close()
    theirs.close()


def test_a_client_lets_no_server_act_as_its_user(
    address: PipeAddress, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = spied(monkeypatch, calls, "create_file")
    open_stream(name).close()
    (arguments,) = opened
    overlapped, sqos_present, identification = 0x40000000, 0x00100000, 0x00010000
    assert arguments[1] == 0x80000000 | 0x40000000  # GENERIC_READ | GENERIC_WRITE
    assert arguments[5] == overlapped | sqos_present | identification


def test_no_pipe_is_no_agent(name: str) -> None:
    with pytest.raises(AgentAbsent):
        open_stream(name)
    with pytest.raises(AgentUnreachable, match="is not the name of a pipe"):
        open_stream(r"C:\agent.sock")


def test_one_agent_at_a_time_has_the_name(address: PipeAddress, name: str) -> None:
    with pytest.raises(AlreadyRunning):
        PipeAddress(name)
    with pytest.raises(ListenAddressError, match="is not the name of a pipe"):
        PipeAddress(r"C:\agent.sock")


def test_the_name_is_free_again_afterwards(name: str) -> None:
    for _ in range(2):
        PipeAddress(name).release()


def test_frames_arrive_whole_however_they_are_cut_and_however_many_ask(
    address: PipeAddress, name: str
) -> None:
    deadline = monotonic() + SECONDS

    def in_pieces() -> None:
        stream = open_stream(name)
        data = make_frame(make_request("unlock", 7, {}), b"x" * 60_000)
        for piece in (data[:1], data[1:5], data[5:40_000], data[40_000:]):
            stream.send(piece, deadline)
        assert answer_on(stream) == {"id": 7, "ok": True, "size": 60_000}
        stream.close()

    def many() -> None:
        stream = open_stream(name)
        for number in range(1, 50):
            assert ask(stream, number, b"x" * number)["size"] == number
        stream.close()

    async def act(_server: Server) -> None:
        await asyncio.gather(*(asyncio.to_thread(each) for each in (in_pieces, many, many, many)))

    served(address.listener, act, echoed)


def test_a_client_that_reads_no_answers_is_hung_up_on_and_nobody_else(
    address: PipeAddress, name: str
) -> None:
    long = "x" * 60_000

    def telling(asked: Request, _body: memoryview) -> Answer:
        return success_answer(asked.number, text=long)

    def hoard() -> None:
        deadline = monotonic() + SECONDS
        stream = open_stream(name)
        asking = make_frame(make_request("hello", 1, {"version": "1"}), b"")
        with pytest.raises(OSError):
            while monotonic() < deadline:
                stream.send(asking, deadline)
        stream.close()

    def behave() -> None:
        stream = open_stream(name)
        for number in range(1, 3 * QUOTA // len(long)):
            assert ask(stream, number)["text"] == long
        stream.close()

    async def act(_server: Server) -> None:
        await asyncio.gather(asyncio.to_thread(hoard), asyncio.to_thread(behave))

    served(address.listener, act, telling)


def test_nothing_that_passed_stays_in_the_shared_memory(address: PipeAddress, name: str) -> None:
    def act_as_client() -> None:
        stream = open_stream(name)
        ask(stream, 1, b"a-secret-that-is-wiped" * 100)
        stream.close()

    async def act(server: Server) -> None:
        await asyncio.to_thread(act_as_client)
        assert not any(server.input)
        assert not any(server.output)

    served(address.listener, act, echoed)


def test_a_silent_server_is_given_up_at_the_deadline(address: PipeAddress, name: str) -> None:
    stream = open_stream(name)
    with pytest.raises(TimeoutError):
        stream.receive(monotonic() + 0.2)
    stream.close()


def test_a_peer_is_known_by_what_its_process_runs(address: PipeAddress, name: str) -> None:
    peers: list[Peer] = []

    def meet(sock: Any) -> object:
        peers.append(Peer(sock))
        return peers[-1]

    async def act(_server: Server) -> None:
        stream = await asyncio.to_thread(open_stream, name)
        await asyncio.to_thread(ask, stream, 1)
        told = cast("dict[str, Any]", peers[0].requester.describe())
        assert told["pid"] == os.getpid()
        assert told["exe"].lower() == sys.executable.lower()
        stream.close()

    served(address.listener, act, echoed, meet)


@pytest.mark.windows
def test_nobody_serves_beside_us(address: PipeAddress, name: str) -> None:
    with pytest.raises(PermissionError):
        PipeListener(name, Descriptor(single_user_sddl(own_sid())))


@pytest.mark.windows
def test_who_is_not_in_the_list_is_not_let_in(name: str) -> None:
    theirs = PipeListener(name, Descriptor(f"O:{own_sid()}D:P(A;;GA;;;S-1-5-21-1-2-3-4242)"))
    with pytest.raises(AgentUnreachable):
        open_stream(name)
    theirs.close()


@pytest.mark.windows
def test_a_server_may_know_who_we_are_and_not_act_as_us(address: PipeAddress, name: str) -> None:
    token, level, size = ctypes.c_void_p(), ctypes.c_ulong(), ctypes.c_ulong(4)
    advapi32, kernel32 = ctypes.WinDLL("advapi32"), ctypes.WinDLL("kernel32")
    kernel32.GetCurrentThread.restype = ctypes.c_void_p
    thread = ctypes.c_void_p(kernel32.GetCurrentThread())
    stream = open_stream(name)
    handle = ctypes.c_void_p(address._pipe._next.fileno())
    stream.send(b"x", monotonic() + SECONDS)
    deadline = monotonic() + SECONDS
    while not advapi32.ImpersonateNamedPipeClient(handle):  # not before something was read
        assert monotonic() < deadline
        kernel32.ReadFile(handle, ctypes.create_string_buffer(1), 1, None, calls.Overlapped())
    try:
        assert advapi32.OpenThreadToken(thread, 8, True, ctypes.byref(token))
        found = calls.token_information(token, 9, ctypes.byref(level), 4, size)
    finally:
        advapi32.RevertToSelf()
    calls.close_handle(token)
    stream.close()
    assert found
    assert level.value == 1  # SecurityIdentification
