"""The asking side of the wire, with as little around it as Python can have.

A library's client would be measured along with the agent, so frames are made beforehand and
answers are looked at only as far as it takes to know where they end; the last one is checked.
"""

from __future__ import annotations

import socket
from time import perf_counter
from typing import TYPE_CHECKING

from tokenward_protocol.frames import PREFIX, find_frame, make_frame
from tokenward_protocol.messages import make_request
from tokenward_protocol.packing import unpack

if TYPE_CHECKING:
    from pathlib import Path

    from tokenward_protocol.packing import Value


class Client:
    """One connection to the agent, or to something else that speaks first when spoken to."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))

    def exchange(self, question: bytes) -> bytes:
        """Send a frame and return the frame that comes back."""
        self._socket.sendall(question)
        answer = self._socket.recv(65536)
        size = 4 + int.from_bytes(answer[:4], "big")
        while len(answer) < size:
            more = self._socket.recv(65536)
            if not more:
                raise EOFError
            answer += more
        return answer

    def seconds(self, question: bytes) -> float:
        """Return how long an exchange takes."""
        begun = perf_counter()
        self.exchange(question)
        return perf_counter() - begun

    def ask(self, op: str, body: bytes = b"", **arguments: Value) -> dict[str, Value]:
        """Make a request that has to succeed, and return the header of its answer."""
        return checked(self.exchange(make_frame(make_request(op, 1, arguments), body)))

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def asking(service: str) -> bytes:
    """Return the frame of a fetch."""
    return make_frame(make_request("fetch", 1, {"service": service}))


def login(service: str) -> bytes:
    """Return the frame of a login."""
    header = make_request(
        "login", 1, {"service": service, "username": "__token__", "provider": "disabled"}
    )
    return make_frame(header, b"pypi-" + b"0" * 175)


def fresh_seconds(path: Path, question: bytes) -> float:
    """Return how long it takes to connect, exchange one frame, and hang up."""
    begun = perf_counter()
    client = Client(path)
    client.exchange(question)
    client.close()
    return perf_counter() - begun


def checked(answer: bytes) -> dict[str, Value]:
    """Return the header of an answer. Raises RuntimeError unless it is ok."""
    ends = find_frame(memoryview(answer))
    header = unpack(answer[PREFIX : ends[0]]) if ends else {}
    if header.get("ok") is not True:
        raise RuntimeError(f"the agent answered {header}")
    return header
