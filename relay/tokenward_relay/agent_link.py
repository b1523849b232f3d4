"""The relay's side of its channel to the agent: it asks, the agent answers.

Each message is a worker's frame (worker/main.py)::

    u32 length of the header (big endian) | msgpack map | raw secret, `size` bytes of it

The relay asks `{"id": 7, "ask": "read", ...}`; the agent answers with the same `id` and `ok`, and a
refusal has the `status`, `text` and `hint` for the tool. What needs no answer is a `tell`; one about
an upload has the `id` of its question as `upload`. A message of the agent without an `id` tells the
relay to forget every credential; with `end` to end; with `passed` to serve the connection whose
descriptor comes with it (unix(7), SCM_RIGHTS). If the agent ends or closes the channel, the relay
ends at once, too: it must not outlive a lock.

Several threads ask at the same time; one thread reads the answers. A secret is a bytearray here, so
that its holder can wipe it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from array import array
from collections import deque
from typing import Any

import msgpack

from tokenward_relay.refusal import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    Header = dict[str, Any]

MAX_HEADER: Final = 64 * 1024
MAX_SECRET: Final = 64 * 1024
"""Limits of one message, in bytes."""

_ANCILLARY: Final = socket.CMSG_SPACE(4)
"""Room for the one descriptor of a message."""

TICK_SECONDS: Final = 2.0
"""Seconds between two signs of life to a tool that waits: hatch gives up after 12 s without one."""

NOT_SENT: Final = "not-sent"
"""The status of an upload of which no byte was sent."""


class AgentLink:
    """Asks the agent, from any thread; `channel` is a Unix socket."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._passed: deque[int] = deque()
        self._writing = threading.Lock()
        self._waiting: dict[int, _Answer] = {}
        self._next = 0

    def ask(
        self,
        question: str,
        while_waiting: Callable[[], object] | None = None,
        **values: object,
    ) -> tuple[Header, bytearray]:
        """Return the agent's answer and the secret in it, which the caller wipes.

        `while_waiting` is called every two seconds until the answer is there. Raises Refusal if the
        agent refuses, and what `while_waiting` raises; then the agent is told that what it may allow
        will not be sent.
        """
        answer = _Answer()
        with self._writing:
            self._next += 1
            number = self._next
            self._waiting[number] = answer
        self._send({"id": number, "ask": question, **values})
        try:
            while not answer.there.wait(TICK_SECONDS):
                if while_waiting is not None:
                    while_waiting()
        except BaseException:  # the tool has given up: no prompt is needed, nothing will be sent
            self.tell("given up", upload=number, status=NOT_SENT)
            self._give_up(number, answer)
            raise
        header = answer.header
        if not header["ok"]:
            raise Refusal(header["status"], header["text"], header["hint"])
        return header, answer.secret

    def tell(self, event: str, **values: object) -> None:
        """Tell the agent something that needs no answer."""
        with contextlib.suppress(OSError):
            self._send({"tell": event, **values})

    def read_run(self) -> tuple[Header, bytearray, int]:
        """Read what a spare relay waits for: a run, its secret, and a descriptor that comes with it.

        Raises EOFError at the end, ValueError past a limit.
        """
        header, secret = self._read_message()
        return header, secret, self._passed.popleft()

    def tell_start(self, header: Header) -> None:
        """Tell the agent of the port, or why there is none."""
        self._send({**header, "size": 0})

    def read_answers(
        self, forget: Callable[[], object], take: Callable[[str, socket.socket], object]
    ) -> None:
        """Pass on each answer until the agent closes the channel.

        `forget` wipes every credential; `take` gets each connection that is passed, and for what.
        """
        while True:
            try:
                header, secret = self._read_message()
            except (EOFError, OSError, ValueError):
                return
            if header.get("end"):
                return
            if "passed" in header:
                take(header["passed"], socket.socket(fileno=self._passed.popleft()))
                continue
            if "id" not in header:
                forget()
                continue
            with self._writing:
                answer = self._waiting.pop(header["id"])
                answer.header, answer.secret = header, secret
                answer.there.set()
                given_up = answer.is_given_up
            if given_up:
                answer.drop()

    def _give_up(self, number: int, answer: _Answer) -> None:
        """Have the answer dropped when it comes, or drop it if it has come in this moment."""
        with self._writing:
            answer.is_given_up = True
            has_come = number not in self._waiting
        if has_come:
            answer.drop()

    def _send(self, header: Header) -> None:
        packed: bytes = msgpack.packb(header)  # pyright: ignore[reportAssignmentType] - never None here
        with self._writing:
            self._channel.sendall(len(packed).to_bytes(4, "big") + packed)

    def _read_message(self) -> tuple[Header, bytearray]:
        """Read one message. Raises EOFError at the end, ValueError past a limit."""
        length = int.from_bytes(self._read(4), "big")
        if length > MAX_HEADER:
            raise ValueError("header too long")
        header: Header = msgpack.unpackb(self._read(length))
        if not 0 <= header["size"] <= MAX_SECRET:
            raise ValueError("secret too long")
        return header, self._read(header["size"])

    def _read(self, size: int) -> bytearray:
        """Read so many bytes, and keep the descriptors that come with them."""
        data = bytearray(size)
        view, got = memoryview(data), 0
        while got < size:
            more, passed, _, _ = self._channel.recvmsg_into([view[got:]], _ANCILLARY)
            for level, kind, content in passed:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    self._passed.extend(array("i", content))
            if not more:
                raise EOFError
            got += more
        return data


class _Answer:
    """The place for the answer to one question."""

    def __init__(self) -> None:
        self.there = threading.Event()
        self.is_given_up = False
        self.header: Header = {}
        self.secret = bytearray()

    def drop(self) -> None:
        """Wipe an answer that comes too late."""
        self.secret[:] = bytes(len(self.secret))
