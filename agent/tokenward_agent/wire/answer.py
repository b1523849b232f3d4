"""An answer to send: a header, and perhaps a secret that is opened only while it is sent.

The `msgpack` package writes the headers: they hold no secret, and it gives the bytes that the
protocol prescribes. Requests are read differently (request.py). One packer serves all answers: a
new one allocates a quarter of a MiB, which is slow, and impossible when memory is out and the
answer has to say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgpack

from tokenward_agent.failure import Failure, SecretSource
from tokenward_protocol.frames import make_frame

if TYPE_CHECKING:
    import socket

    from tokenward_protocol.packing import Value


# A path may not be UTF-8, but a header is: other bytes are shown as Python shows them.
_PACKER = msgpack.Packer(unicode_errors="backslashreplace")


KEEP: Final = "keep"
CLOSE: Final = "close"


class Answer:
    """The answer to one request: its fields as `values` and packed, and the sealed body, if any.

    `then` is what becomes of the connection behind it, "" for
    nothing: CLOSE closes it, KEEP keeps it from being closed as idle when there are too many.
    """

    __slots__ = ("header", "secret", "then", "values")

    def __init__(self, values: dict[str, Value], secret: SecretSource | None = None) -> None:
        self.values = values
        self.header: bytes = _PACKER.pack(values)
        self.secret = secret
        self.then = ""


def success_answer(number: int, secret: SecretSource | None = None, **values: Value) -> Answer:
    """Return the answer to a request that succeeded."""
    return Answer({"id": number, "ok": True, **values}, secret)


def failure_answer(number: int, failure: Failure) -> Answer:
    """Return the answer to a request that failed."""
    values: dict[str, Value] = {
        "id": number,
        "ok": False,
        "code": failure.code,
        "message": str(failure),
        "hint": failure.hint,
        **failure.more,
    }
    return Answer(values)


def turn_away(listener: socket.socket, sentence: str, hint: str) -> None:
    """Answer every client that waits now with `busy`, and close.

    Without an answer, a service manager would see them wait and start one process after another.
    """
    answer = make_frame(failure_answer(0, Failure("busy", sentence, hint)).header, b"")
    listener.setblocking(False)
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        with client:
            client.setblocking(False)
            try:
                client.send(answer)
            except OSError:
                continue
