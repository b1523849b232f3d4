"""The relay's side of its pipe to the agent: it asks, the agent answers.

Each message is a worker's frame (worker/main.py)::

    u32 length of the header (big endian) | msgpack map | raw secret, `size` bytes of it

The relay asks `{"id": 7, "ask": "read", ...}`; the agent answers with the same `id` and `ok`, and a
refusal has the `status`, `text` and `hint` for the tool. What needs no answer is a `tell`; one about
an upload has the `id` of its question as `upload`. A message of the agent without an `id` tells the
relay to forget every credential, or with `end` to end. If the agent ends or closes the pipe, the
relay ends at once, too: it must not outlive a lock.

Several threads ask at the same time; one thread reads the answers. A secret is a bytearray here, so
that its holder can wipe it.
"""

from __future__ import annotations

import contextlib
import os
import threading
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

TICK_SECONDS: Final = 2.0
"""Seconds between two calls of `while_waiting`: hatch gives up after 12 s without a sign of life."""


NOT_SENT: Final = "not-sent"
"""The status of an upload of which no byte was sent."""


class AgentLink:
    """Asks the agent, from any thread."""

    def __init__(self, reader: int, writer: int) -> None:
        self._reader = reader
        self._writer = writer
        self._writing = threading.Lock()
        self._waiting: dict[int, _Answer] = {}
        self._next = 0

    def ask(
        self, question: str, while_waiting: Callable[[], object] | None = None, **values: object
    ) -> tuple[Header, bytearray]:
        """Return the agent's answer and the secret in it, which the caller wipes.

        `while_waiting` is called every two seconds until the answer is there. Raises Refusal if the
        agent refuses, and what `while_waiting` raises.
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
        except OSError:  # the tool has given up: no prompt is needed, and nothing will be sent
            self.tell("given up", upload=number, status=NOT_SENT)
            answer.secret[:] = bytes(len(answer.secret))
            raise
        finally:
            self._waiting.pop(number, None)
        header = answer.header
        if not header["ok"]:
            raise Refusal(header["status"], header["text"], header["hint"])
        return header, answer.secret

    def tell(self, event: str, **values: object) -> None:
        """Tell the agent something that needs no answer."""
        with contextlib.suppress(OSError):
            self._send({"tell": event, **values})

    def read_answers(self, forget: Callable[[], object]) -> None:
        """Pass on each answer until the agent closes the pipe; `forget` wipes every credential."""
        while True:
            try:
                header, secret = read_message(self._reader)
            except (EOFError, OSError, ValueError):
                return
            if header.get("end"):
                return
            if "id" not in header:
                forget()
                continue
            answer = self._waiting.get(header["id"])
            if answer is None:  # its thread has given up
                secret[:] = bytes(len(secret))
                continue
            answer.header, answer.secret = header, secret
            answer.there.set()

    def _send(self, header: Header) -> None:
        packed: bytes = msgpack.packb(header)
        with self._writing:
            _write(self._writer, len(packed).to_bytes(4, "big") + packed)


class _Answer:
    """The place for the answer to one question."""

    def __init__(self) -> None:
        self.there = threading.Event()
        self.header: Header = {}
        self.secret = bytearray()


def read_message(reader: int) -> tuple[Header, bytearray]:
    """Read one message. Raises EOFError at the end of the pipe, ValueError past a limit."""
    length = int.from_bytes(_read(reader, 4), "big")
    if length > MAX_HEADER:
        raise ValueError("header too long")
    header: Header = msgpack.unpackb(_read(reader, length))
    if not 0 <= header["size"] <= MAX_SECRET:
        raise ValueError("secret too long")
    return header, _read(reader, header["size"])


def _read(reader: int, size: int) -> bytearray:
    data = bytearray(size)
    view, got = memoryview(data), 0
    while got < size:
        more = os.readv(reader, [view[got:]])
        if not more:
            raise EOFError
        got += more
    return data


def _write(writer: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(writer, rest) :]
