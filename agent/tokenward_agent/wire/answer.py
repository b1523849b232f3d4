"""An answer on its way out: a header, and perhaps a secret that is opened only to be sent.

Headers of answers are written by the `msgpack` package: nothing in them is secret, and its writer
gives the bytes that the protocol asks for. Reading requests is another matter (request.py). One
writer serves all: a new one each time would want a quarter of a MiB for each answer, which is slow,
and more than there may be where memory is out and the answer is to say so.
"""

from __future__ import annotations

import msgpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from tokenward_agent.failure import Failure
    from tokenward_protocol.packing import Value

    class Sealed(Protocol):
        """A secret at rest in memory."""

        size: int
        """Bytes of the secret when open."""

        def open_into(self, view: memoryview) -> None:
            """Write the secret into `view`, `size` bytes. Raises Gone if its key was destroyed."""
            ...


# A path need not be UTF-8, which a header is: what is not is shown as Python would show it.
_PACKER = msgpack.Packer(unicode_errors="backslashreplace")


class Answer:
    """What goes back for one request: the bytes of the header and the sealed body, if any.

    `values` is what the header holds.
    """

    __slots__ = ("header", "secret", "values")

    def __init__(self, values: dict[str, Value], secret: Sealed | None = None) -> None:
        self.values = values
        self.header: bytes = _PACKER.pack(values)
        self.secret = secret


def done(number: int, secret: Sealed | None = None, **values: Value) -> Answer:
    """Return the answer of a request that was done."""
    return Answer({"id": number, "ok": True, **values}, secret)


def not_done(number: int, failure: Failure) -> Answer:
    """Return the answer of a request that was not done."""
    values: dict[str, Value] = {
        "id": number,
        "ok": False,
        "code": failure.code,
        "message": str(failure),
        "hint": failure.hint,
        **failure.more,
    }
    return Answer(values)
