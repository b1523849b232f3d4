"""An answer to send: a header, and perhaps a secret that is opened only while it is sent.

The `msgpack` package writes the headers: they hold no secret, and it gives the bytes that the
protocol prescribes. Requests are read differently (request.py). One packer serves all answers: a
new one allocates a quarter of a MiB, which is slow, and impossible when memory is out and the
answer has to say so.
"""

from __future__ import annotations

import msgpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, Protocol

    from tokenward_agent.failure import Failure
    from tokenward_protocol.packing import Value

    class SecretSource(Protocol):
        """A secret that is sealed while in memory."""

        size: int
        """Bytes of the secret when open."""

        def open_into(self, view: memoryview) -> None:
            """Write the secret into `view`, `size` bytes. Raise KeyDestroyed if its key was wiped."""
            ...


# A path may not be UTF-8, but a header is: other bytes are shown as Python shows them.
_PACKER = msgpack.Packer(unicode_errors="backslashreplace")


KEEP: Final = "keep"
CLOSE: Final = "close"


class Answer:
    """The answer to one request: the packed header and the sealed body, if any.

    `values` are the fields of the header. `then` is what becomes of the connection behind it, "" for
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
