"""Messages of D-Bus, between bytes and values: what is asked of a bus, and what is heard from one.

Reading and writing is jeepney's part. Here is what this program makes of a message, and what it does
not read at all: a frame that is larger than `MAX_FRAME`, or that jeepney would not get to the end of.
Whatever a frame holds, the outcome is a message or a ValueError. Pure.

Source: the D-Bus specification 0.43, "Message Protocol"; the names of jeepney 0.9.
"""

from __future__ import annotations

from typing import NamedTuple

from jeepney.low_level import (  # type: ignore[import-untyped] # it has no annotations
    HeaderFields,
    Message,
    MessageType,
)
from jeepney.wrappers import (  # type: ignore[import-untyped] # likewise
    DBusAddress,
    new_method_call,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Final

START: Final = 16
"""Bytes of a frame that tell its size."""

MAX_FRAME: Final = 256 * 1024
"""Bytes of the largest frame that is read: a list of two thousand sessions."""

SIGNAL, ANSWER, ERROR = "signal", "answer", "error"
_KINDS: Final = {
    MessageType.signal: SIGNAL,
    MessageType.method_return: ANSWER,
    MessageType.error: ERROR,
}
_ORDERS: Final = {b"l": "little", b"B": "big"}


class Heard(NamedTuple):
    """One message: a `kind`, who sent it (as the bus says), and what.

    `kind` is "" for one that nobody here asked for. `of` is the serial of the call that it answers;
    `name` that of the signal with its interface before it, or of the error.
    """

    kind: str
    sender: str
    path: str
    name: str
    of: int
    body: tuple[Any, ...]


def size(start: bytes) -> int:
    """Return the size of a frame that begins with these `START` bytes. Raises ValueError."""
    order: Any = _ORDERS.get(start[:1])
    if order is None:
        raise ValueError("no message begins so")
    body = int.from_bytes(start[4:8], order)
    fields = int.from_bytes(start[12:16], order)
    whole = START + fields + -fields % 8 + body
    if whole > MAX_FRAME:
        raise ValueError("a message is too large")
    return whole


def heard(frame: bytes, descriptors: Sequence[int]) -> Heard:
    """Read a frame, that came with these `descriptors`. Raises ValueError.

    A descriptor in the body stands there as it was given. The empty struct, which the specification
    forbids, is looked for before: jeepney reads an array of it for ever.
    """
    if b"()" in frame:
        raise ValueError("a message holds what D-Bus has not")
    try:
        message = Message.from_buffer(frame, descriptors)
        fields = message.header.fields
        kind = _KINDS.get(message.header.message_type, "")
        name = fields.get(HeaderFields.error_name, "")
        if kind == SIGNAL:
            name = f"{fields[HeaderFields.interface]}.{fields[HeaderFields.member]}"
        return Heard(
            kind,
            str(fields.get(HeaderFields.sender, "")),
            str(fields.get(HeaderFields.path, "")),
            str(name),
            int(fields.get(HeaderFields.reply_serial, 0)),
            tuple(message.body),
        )
    except Exception as error:  # noqa: BLE001 - whatever a reader trips over in a malformed frame
        raise ValueError(f"a message is malformed ({type(error).__name__})") from None


def call(
    serial: int, destination: str, path: str, method: str, signature: str, body: tuple[Any, ...]
) -> bytes:
    """Return the frame of a call; `method` has its interface before it."""
    interface, _, member = method.rpartition(".")
    address = DBusAddress(path, destination, interface)
    message = new_method_call(address, member, signature or None, body)
    return bytes(message.serialise(serial))
