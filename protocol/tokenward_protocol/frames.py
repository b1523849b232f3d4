"""Frames: one request or answer in a byte stream.

    u32 length | u16 header length | header | body

Both integers are big endian; `length` counts everything after itself. The header is one
msgpack map (packing.py) and holds no secret; the body is raw bytes and is where secrets travel,
so that no parser ever has to touch one.

Sans I/O: `find_frame` finds the parts of the bytes that it gets; reading, writing, waiting and
wiping are the caller's. It makes no copy of the bytes, and checks a length before the caller
reserves memory for it.
"""

from __future__ import annotations

from tokenward_protocol import LocalError, RemoteError

PREFIX = 6  # bytes of the two length fields
MAX_FRAME = 256 * 1024  # largest `length`, in bytes; what ssh-agent allows too
MAX_BODY = 64 * 1024
"""Largest body, in bytes: the longest token seen in the field has 5,000 characters."""

MAX_HEADER = 0xFFFF  # largest header, in bytes: the maximum of its length field


def read_sizes(prefix: bytes | bytearray | memoryview) -> tuple[int, int]:
    """Return (bytes of the whole frame, bytes of its header) from its first `PREFIX` bytes.

    Raises RemoteError: code `bad-frame` if the header is longer than the frame, code `too-large`
    for a frame or a body past its limit.
    """
    length = prefix[0] << 24 | prefix[1] << 16 | prefix[2] << 8 | prefix[3]
    header = prefix[4] << 8 | prefix[5]
    if length > MAX_FRAME:
        raise RemoteError("too-large", "A frame is longer than 256 KiB.")
    if length < 2 + header:
        raise RemoteError("bad-frame", "A frame is shorter than the header that it claims.")
    if length - 2 - header > MAX_BODY:
        raise RemoteError("too-large", "The body of a frame is longer than 64 KiB.")
    return 4 + length, header


def find_frame(view: memoryview) -> tuple[int, int] | None:
    """Return the start of the first frame's body in `view`, and its end; None if it is incomplete.

    The header is `view[PREFIX:body]`, the body `view[body:end]`.

    Raises RemoteError as `read_sizes` does, as soon as the prefix is there.
    """
    if len(view) < PREFIX:
        return None
    end, header = read_sizes(view[:PREFIX])
    return (PREFIX + header, end) if len(view) >= end else None


def make_prefix(header: int, body: int) -> bytes:
    """Return the two length fields for these lengths. Raises LocalError with code `too-large`."""
    if header > MAX_HEADER or body > MAX_BODY or 2 + header + body > MAX_FRAME:
        raise LocalError("too-large", "The message is too large for a frame.")
    return (2 + header + body).to_bytes(4, "big") + header.to_bytes(2, "big")


def make_frame(header: bytes, body: bytes | bytearray | memoryview = b"") -> bytes:
    """Return one whole frame, for a sender whose body may be bytes (a client)."""
    return make_prefix(len(header), len(body)) + header + bytes(body)
