"""Messages of D-Bus, between bytes and values: calls to a bus, and what it sends.

jeepney encodes and decodes. This module selects what the agent needs of a message, and refuses a
frame that is larger than `MAX_FRAME` or that jeepney would never finish. Any frame gives a message
or a ValueError. Pure.

Source: the D-Bus specification 0.43, "Message Protocol"; the names of jeepney 0.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jeepney.low_level import (  # type: ignore[import-untyped] # it has no annotations
    HeaderFields,
    Message,
    MessageType,
)
from jeepney.wrappers import (  # type: ignore[import-untyped] # likewise
    DBusAddress,
    new_method_call,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

START: Final = 16  # bytes of a frame that tell its size
MAX_FRAME: Final = 256 * 1024
"""The largest frame that is read: room for a list of two thousand sessions."""

SIGNAL, ANSWER, ERROR = "signal", "answer", "error"
_KINDS: Final = {
    MessageType.signal: SIGNAL,
    MessageType.method_return: ANSWER,
    MessageType.error: ERROR,
}
_ORDERS: Final = {b"l": "little", b"B": "big"}


class BusMessage(NamedTuple):
    """One message: its `kind`, its sender (by the bus), and its content.

    `kind` is "" for a message that the agent did not ask for. `of` is the serial of the call that
    it answers; `name` is that of the signal, prefixed with its interface, or of the error.
    """

    kind: str
    sender: str
    path: str
    name: str
    of: int
    body: tuple[Any, ...]


def frame_size(start: bytes) -> int:
    """Return the size of the frame with these first `START` bytes. Raises ValueError."""
    order: Any = _ORDERS.get(start[:1])
    if order is None:
        raise ValueError("this is not the start of a message")
    body = int.from_bytes(start[4:8], order)
    fields = int.from_bytes(start[12:16], order)
    whole = START + fields + -fields % 8 + body
    if whole > MAX_FRAME:
        raise ValueError("a message is too large")
    return whole


def read_message(frame: bytes, descriptors: Sequence[int]) -> BusMessage:
    """Read a frame that came with these `descriptors`. Raises ValueError.

    A descriptor in the body stands there as it was given. The empty struct, which the specification
    forbids, is refused before: jeepney reads an array of it for ever.
    """
    if b"()" in frame:
        raise ValueError("a message holds a type that D-Bus forbids")
    try:
        message = Message.from_buffer(frame, descriptors)
        fields = message.header.fields
        kind = _KINDS.get(message.header.message_type, "")
        name = fields.get(HeaderFields.error_name, "")
        if kind == SIGNAL:
            name = f"{fields[HeaderFields.interface]}.{fields[HeaderFields.member]}"
        return BusMessage(
            kind,
            str(fields.get(HeaderFields.sender, "")),
            str(fields.get(HeaderFields.path, "")),
            str(name),
            int(fields.get(HeaderFields.reply_serial, 0)),
            tuple(message.body),
        )
    except Exception as error:  # noqa: BLE001 - a malformed frame may raise anything in jeepney
        raise ValueError(f"a message is malformed ({type(error).__name__})") from None


def make_call(
    serial: int, destination: str, path: str, method: str, signature: str, body: tuple[Any, ...]
) -> bytes:
    """Return the frame of a call; `method` is prefixed with its interface."""
    interface, _, member = method.rpartition(".")
    address = DBusAddress(path, destination, interface)
    message = new_method_call(address, member, signature or None, body)
    return bytes(message.serialise(serial))
