"""What a bus may send: messages, and anything else, which ends the connection and nothing more."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.inspection.processes import own_descriptors
from tokenward_agent.session import dbus_frames
from tokenward_agent.session.bus import MAX_WAITING, Bus, BusError, BusGone
from tokenward_agent.session.bus_watches import socket_paths
from tokenward_agent.session.dbus_frames import MAX_FRAME, SIGNAL, START, BusMessage

if TYPE_CHECKING:
    from collections.abc import Iterator

# SIGNAL, serial 7, from :1.5 at /o, a.b.C with the body ("x", true), written by hand from the
# specification's "Message Format".
FIELDS = b"".join(
    (
        b"\x01\x01o\0\x02\0\0\0/o\0" + bytes(5),
        b"\x02\x01s\0\x03\0\0\0a.b\0" + bytes(4),
        b"\x03\x01s\0\x01\0\0\0C\0" + bytes(6),
        b"\x07\x01s\0\x04\0\0\0:1.5\0" + bytes(3),
        b"\x08\x01g\0\x02sb\0",
    )
)
BODY = b"\x01\0\0\0x\0\0\0\x01\0\0\0"


def signal_frame(fields: bytes = FIELDS, body: bytes = BODY) -> bytes:
    start = b"l\x04\0\x01" + len(body).to_bytes(4, "little") + b"\x07\0\0\0"
    return start + len(fields).to_bytes(4, "little") + fields + bytes(-len(fields) % 8) + body


HELLO = b"l\x02\x01\x01\0\0\0\0\x01\0\0\0\x08\0\0\0\x05\x01u\0\x01\0\0\0"
"""The answer to the call of serial 1, without a body."""


def test_a_signal_is_read() -> None:
    frame = signal_frame()
    assert dbus_frames.frame_size(frame[:START]) == len(frame)
    assert dbus_frames.read_message(frame, []) == BusMessage(
        SIGNAL, ":1.5", "/o", "a.b.C", 0, ("x", True)
    )


@given(st.integers(0, len(signal_frame()) - 1), st.binary(min_size=1, max_size=8))
def test_whatever_a_frame_holds_it_is_a_message_or_a_value_error(place: int, noise: bytes) -> None:
    frame = signal_frame()
    frame = frame[:place] + noise + frame[place + len(noise) :]
    try:
        dbus_frames.frame_size(frame[:START])
        assert isinstance(dbus_frames.read_message(frame, []), BusMessage)
    except ValueError:
        pass


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(
            signal_frame(FIELDS[:-8] + b"\x08\x01g\0\x03a()\0", b"\x08\0\0\0" + bytes(12)),
            id="an array of nothing",
        ),
        pytest.param(signal_frame(FIELDS[:-8] + b"\x08\x01g\0\x01h\0", bytes(4)), id="no file"),
        pytest.param(
            signal_frame(FIELDS[:-8] + b"\x08\x01g\0\x01v\0\0", b"\x01v\0" * 20_000),
            id="variants in variants",
        ),
    ],
)
def test_what_would_keep_a_reader_busy_is_refused(frame: bytes) -> None:
    with pytest.raises(ValueError, match="a message"):
        dbus_frames.read_message(frame, [])


def test_a_frame_past_the_limit_is_refused_by_its_beginning() -> None:
    start = b"l\x04\0\x01" + MAX_FRAME.to_bytes(4, "little") + bytes(8)
    with pytest.raises(ValueError, match="too large"):
        dbus_frames.frame_size(start)


def test_the_sockets_of_an_address_are_its_unix_ones() -> None:
    address = "tcp:host=a,port=1;unix:path=/run/a%20b,guid=0;unix:abstract=/x;unix:tmpdir=/t;;x"
    assert socket_paths(address) == ["/run/a b", "\0/x"]


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tw") as name:
        yield Path(name) / "bus"


def ended_by(place: Path, *answers: bytes, with_each: int = 0) -> BusError:
    """Let a bus answer our lines and calls so, then hang up; return what became of listening.

    With each byte of the last answer come so many descriptors.
    """
    before = own_descriptors()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place))
    listener.listen()

    def serve() -> None:
        sock, _ = listener.accept()
        with sock, suppress(ConnectionError):
            for answer in answers:
                sock.recv(4096)
                if with_each and answer == answers[-1]:
                    for byte in answer:
                        socket.send_fds(sock, [bytes([byte])], [0] * with_each)
                else:
                    sock.sendall(answer)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(4096):
                pass

    async def listen() -> BusError:
        bus = Bus()
        try:
            await bus.connect(str(place))
            while True:
                await bus.next_signal()
        except BusError as error:
            return error
        finally:
            bus.close()

    server = threading.Thread(target=serve)
    server.start()
    error = asyncio.run(listen())
    server.join()
    listener.close()
    place.unlink()
    assert own_descriptors() == before
    return error


OK, AGREED = b"OK 1234\r\n", b"AGREE_UNIX_FD\r\n"


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([b""], id="nothing"),
        pytest.param([b"REJECTED\r\n"], id="a refusal"),
        pytest.param([OK, b"ERROR\r\n"], id="no descriptors"),
        pytest.param([b"x" * 9000], id="no line"),
        pytest.param([OK, AGREED, b"\0" * 64], id="no message"),
        pytest.param(
            [OK, AGREED, HELLO + b"l\x04\0\x01\xff\xff\xff\x7f" + bytes(8)], id="too much"
        ),
        pytest.param([OK, AGREED, signal_frame() * (MAX_WAITING + 1)], id="no answer"),
        pytest.param([OK, AGREED, HELLO + signal_frame()[:-1]], id="half a message"),
    ],
)
def test_a_bus_that_is_none_is_hung_up_on(place: Path, answers: list[bytes]) -> None:
    assert not ended_by(place, *answers).refused


def test_a_bus_that_ends_is_told_from_one_that_is_none(place: Path) -> None:
    assert isinstance(ended_by(place, OK, AGREED, HELLO + signal_frame()), BusGone)
    assert not isinstance(ended_by(place, OK, AGREED, b"\0" * 64), BusGone)


def test_descriptors_that_nobody_asked_for_are_closed(place: Path) -> None:
    assert not ended_by(place, OK, AGREED, HELLO[:8], with_each=4).refused


def test_a_bus_that_never_stops_leaves_the_others_their_turn() -> None:
    count, turns = 50, 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def main() -> None:
        bus = Bus()
        bus._sock.close()
        bus._sock, theirs = socket.socketpair()
        bus._sock.setblocking(False)
        theirs.sendall(signal_frame() * count)
        other = asyncio.create_task(others())
        for _ in range(count):
            await bus.next_signal()
        other.cancel()
        bus.close()
        theirs.close()

    asyncio.run(main())
    assert turns >= count
