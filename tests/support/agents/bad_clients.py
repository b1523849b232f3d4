"""What clients can do wrong or on purpose, each as a function of the socket's path.

Every one is bounded in count, and closes what it opened before it returns.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from support.waiting import PATIENCE
from tokenward_protocol.frames import MAX_BODY, PREFIX, make_frame, read_sizes
from tokenward_protocol.messages import make_request
from tokenward_protocol.packing import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from tokenward_protocol.packing import Value

BIG_SERVICE = "https://big.example/"
HANG_UP_SECONDS = 5  # what the protocol gives a frame
LOGIN = make_frame(
    make_request("login", 1, {"service": "https://x.example/", "username": "u"}),
    b"pypi-of-a-login-that-never-comes-to-its-end",
)
FETCH = make_frame(make_request("fetch", 1, {"service": BIG_SERVICE}))
HEADERS = {
    "arrays in arrays": b"\x81\xa2id" + b"\x91" * 5000 + b"\x01",
    "maps in maps": b"\x81\xa1v" * 5000 + b"\x01",
    "a key twice": b"\x82\xa1v\x01\xa1v\x01",
    "an op twice": b"\x82\xa2op\xa5hello\xa2op\xa5hello",
    "an extension": b"\x81\xa2id\xd4\x01\x00",
    "a timestamp": b"\x81\xa2id\xd6\xff\x00\x00\x00\x00",
    "a float": b"\x81\xa2id\xcb" + bytes(8),
    "binary": b"\x81\xa2id\xc4\x01x",
    "never used": b"\xc1",
    "a text of 4 GiB": b"\x81\xa2op\xdb\xff\xff\xff\xff",
    "a map of 4 G": b"\xdf\xff\xff\xff\xff",
    "no map": b"\x93\x01\x02\x03",
    "nothing": b"",
    "not UTF-8": b"\x81\xa2op\xa2\xff\xfe",
    "bytes behind": pack({"v": 1, "id": 1, "op": "hello"}) + b"\x00",
    "another version": pack({"v": 2, "id": 1, "op": "hello"}),
    "an unknown op": pack({"v": 1, "id": 1, "op": "explode"}),
    "an unknown key": pack({"v": 1, "id": 1, "op": "hello", "key": 1}),
}


def connected(path: Path) -> socket.socket:
    """Return a connection; it waits where the agent has no room for it yet."""
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(str(path))
        sock.settimeout(PATIENCE)
    except BaseException:
        sock.close()
        raise
    return sock


@contextlib.contextmanager
def connections(path: Path, count: int) -> Generator[list[socket.socket]]:
    """Open this many connections and close them."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(connected(path)) for _ in range(count)]


def silence(path: Path, count: int = 150) -> None:
    """Send half a frame and then nothing; or a byte a second: the agent has to hang up."""
    with connections(path, count) as silent, connections(path, count) as dripping:
        for number, sock in enumerate(silent):
            sock.sendall(LOGIN[: 1 + number % (len(LOGIN) - 1)])
        for at in range(HANG_UP_SECONDS + 2):
            for sock in dripping:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    sock.sendall(LOGIN[at : at + 1])
            time.sleep(1)
        for sock in (*silent, *dripping):
            assert hung_up(sock), "half a frame was waited for longer than it has time"


def hung_up(sock: socket.socket) -> bool:
    """Tell whether the other end closed this connection, without a word."""
    sock.setblocking(False)
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def connects(path: Path, count: int = 10_000, held: int = 2_500) -> None:
    """Connect and go, and connect and stay: more at a time than the agent keeps."""
    with connections(path, held):
        pass
    for _ in range(count - held):
        connected(path).close()


def claims(path: Path, count: int = 500) -> None:
    """Claim a frame of 4 GiB: it is refused before anything is waited for."""
    for _ in range(count):
        with connected(path) as sock:
            sock.sendall(b"\xff\xff\xff\xff\x00\x10" + b"x" * 100)
            header, _ = answer(sock)
            assert header["code"] == "too-large"
            with contextlib.suppress(ConnectionResetError):  # what it did not read was on its way
                assert sock.recv(1) == b""


def headers(path: Path, rounds: int = 50) -> None:
    """Send headers that are none: each is answered, and the connection goes on."""
    with connected(path) as sock:
        for _ in range(rounds):
            sock.sendall(b"".join(make_frame(header) for header in HEADERS.values()))
            for name in HEADERS:
                header, _ = answer(sock)
                assert header["ok"] is False, name
        sock.sendall(make_frame(make_request("hello", 7, {})))
        assert answer(sock)[0]["ok"] is True


def disconnects(path: Path) -> None:
    """Go away at each byte of a login and of the answer to a fetch."""
    for end in range(len(LOGIN)):
        with connected(path) as sock:
            sock.sendall(LOGIN[:end])
    with connected(path) as sock:
        sock.sendall(FETCH)
        header, body = answer(sock)
        size = PREFIX + len(pack(header)) + len(body)
    small = PREFIX + len(pack(header)) + 20
    for end in (*range(small), *range(small, size, 997), size):
        with connected(path) as sock:
            sock.sendall(FETCH)
            read(sock, end)


def unread(path: Path, rounds: int = 10, count: int = 40, asked: int = 30) -> None:
    """Ask for far more than a socket holds, take some of it, and go away."""
    for _ in range(rounds):
        with connections(path, count) as asking:
            for sock in asking:
                sock.sendall(FETCH * asked)
            for number, sock in enumerate(asking):
                read(sock, number * MAX_BODY // 8)


def pipelines(path: Path, count: int = 4, asked: int = 3000) -> None:
    """Ask for thousands of things at once, on several connections, and take every answer."""
    asks: list[tuple[str, dict[str, Value]]] = [
        ("fetch", {"service": "https://none.example/"}),
        ("hello", {}),
        ("status", {}),
    ]
    every = b"".join(
        make_frame(make_request(op, number, arguments))
        for number, (op, arguments) in enumerate(itertools.islice(itertools.cycle(asks), asked))
    )
    with connections(path, count) as asking, ThreadPoolExecutor(count) as pool:
        sent = [pool.submit(sock.sendall, every) for sock in asking]
        for number in range(asked):
            for sock in asking:
                assert answer(sock)[0]["id"] == number
        for each in sent:
            each.result()


ATTACKS: tuple[Callable[[Path], None], ...] = (
    connects,
    claims,
    headers,
    disconnects,
    unread,
    pipelines,
)
"""Those that keep the agent busy; `silence` is apart, since it takes its time."""


def answer(sock: socket.socket) -> tuple[dict[str, Value], bytes]:
    """Read one answer."""
    whole, header = read_sizes(read(sock, PREFIX))
    rest = read(sock, whole - PREFIX)
    return unpack(rest[:header]), rest[header:]


def read(sock: socket.socket, size: int) -> bytes:
    """Read exactly this much. Raises EOFError where the other end closed before."""
    data = bytearray()
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return bytes(data)
