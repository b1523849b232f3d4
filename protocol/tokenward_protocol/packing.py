"""The strict subset of msgpack in which headers are written.

nil, booleans, integers from -2**63 to 2**64-1, UTF-8 text, arrays, and maps with text for keys.
Everything is written in its shortest form, byte for byte as the `msgpack` package writes it. The
reader accepts any form of these values and refuses the rest: floats, binary and extension types
(secrets travel in the body), duplicate keys, more than 16 levels, trailing bytes.

Why not the package: its reader makes an object of every value before the caller can refuse it (a
secret under an unknown key would then stay in memory), and loading it would cost the shortest command
more than everything else that it does. docs/adr/0002 has the figures.

Format: https://github.com/msgpack/msgpack/blob/master/spec.md
"""

from __future__ import annotations

from tokenward_protocol import LocalError, RemoteError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Value: TypeAlias = "bool | int | str | list[Value] | dict[str, Value] | None"

MAX_DEPTH = 16  # levels of arrays and maps, as read; messages have three
_UNSIGNED = ((0xCC, 1), (0xCD, 2), (0xCE, 4), (0xCF, 8))
_SIGNED = ((0xD0, 1), (0xD1, 2), (0xD2, 4), (0xD3, 8))


def pack(value: Value) -> bytes:
    """Write one value. Raises LocalError with code `bad-header` for types outside the subset."""
    out = bytearray()
    _write(out, value)
    return bytes(out)


def _write(out: bytearray, value: Value) -> None:
    if value is None:
        out.append(0xC0)
    elif value is True:
        out.append(0xC3)
    elif value is False:
        out.append(0xC2)
    elif isinstance(value, str):
        try:
            data = value.encode()
        except UnicodeEncodeError:
            raise LocalError("bad-header", "A string in a header is not valid Unicode.") from None
        _write_size(out, len(data), 0xA0, 31, ((0xD9, 1), (0xDA, 2), (0xDB, 4)))
        out += data
    elif isinstance(value, int):
        _write_integer(out, value)
    elif isinstance(value, dict):
        _write_size(out, len(value), 0x80, 15, ((0xDE, 2), (0xDF, 4)))
        for key, item in value.items():
            if not isinstance(key, str):
                raise LocalError("bad-header", "A key in a header is not a string.")
            _write(out, key)
            _write(out, item)
    elif isinstance(value, list):
        _write_size(out, len(value), 0x90, 15, ((0xDC, 2), (0xDD, 4)))
        for item in value:
            _write(out, item)
    else:
        raise LocalError("bad-header", f"A header cannot hold a {type(value).__name__}.")


def _write_size(
    out: bytearray, size: int, short: int, longest: int, forms: tuple[tuple[int, int], ...]
) -> None:
    if size <= longest:
        out.append(short | size)
        return
    for code, width in forms:
        if size < 1 << 8 * width:
            out.append(code)
            out += size.to_bytes(width, "big")
            return
    raise LocalError("too-large", "A value is too large for a header.")


def _write_integer(out: bytearray, value: int) -> None:
    if -32 <= value < 128:
        out.append(value & 0xFF)
        return
    for code, width in _UNSIGNED if value >= 0 else _SIGNED:
        bits = 8 * width if value >= 0 else 8 * width - 1
        if -(1 << bits) <= value < 1 << bits:
            out.append(code)
            out += value.to_bytes(width, "big", signed=value < 0)
            return
    raise LocalError("bad-header", "An integer has more than 64 bits.")


class Reader:
    """Reads values from a buffer in place: `span` returns the position of a text without decoding it.

    Every method raises RemoteError with code `bad-header` for bytes outside the subset.
    """

    __slots__ = ("at", "view")

    def __init__(self, view: memoryview) -> None:
        self.view = view
        self.at = 0

    def _code(self) -> int:
        """Read the type byte of the next value."""
        try:
            code = self.view[self.at]
        except IndexError:
            raise truncated_error() from None
        self.at += 1
        return code

    def _take(self, width: int) -> int:
        """Read a big-endian unsigned integer of `width` bytes."""
        end = self.at + width
        if end > len(self.view):
            raise truncated_error()
        number = int.from_bytes(self.view[self.at : end], "big")
        self.at = end
        return number

    def size(self) -> int:
        """Read the head of a map and return its number of pairs."""
        code = self._code()
        if code & 0xF0 == 0x80:
            return code & 0x0F
        if code in {0xDE, 0xDF}:
            return self._take(2 if code == 0xDE else 4)
        raise RemoteError("bad-header", "A header is not a msgpack map.")

    def span(self) -> tuple[int, int]:
        """Read a text and return where it starts and ends; it is not decoded."""
        code = self._code()
        if code & 0xE0 == 0xA0:
            size = code & 0x1F
        elif 0xD9 <= code <= 0xDB:
            size = self._take(1 << code - 0xD9)
        else:
            raise RemoteError("bad-header", "A header has another type in the place of a string.")
        start = self.at
        self.at = start + size
        if self.at > len(self.view):
            raise truncated_error()
        return start, self.at

    def text(self) -> str:
        """Read a text."""
        start, end = self.span()
        try:
            return str(self.view[start:end], "utf-8")
        except UnicodeDecodeError:
            pass
        raise RemoteError("bad-header", "A string in a header is not UTF-8.")

    def value(self, depth: int = MAX_DEPTH) -> Value:
        """Read one value of any type of the subset."""
        if self.at >= len(self.view):
            raise truncated_error()
        code = self.view[self.at]
        if code & 0xE0 == 0xA0 or 0xD9 <= code <= 0xDB:
            return self.text()
        if code & 0xF0 == 0x80 or code in {0xDE, 0xDF}:
            return self._map(depth)
        self.at += 1
        if code < 0x80:
            return code
        if code >= 0xE0:
            return code - 0x100
        if code & 0xF0 == 0x90:
            return self._array(code & 0x0F, depth)
        if code in {0xDC, 0xDD}:
            return self._array(self._take(2 if code == 0xDC else 4), depth)
        if 0xCC <= code <= 0xCF:
            return self._take(1 << code - 0xCC)
        if 0xD0 <= code <= 0xD3:
            width = 1 << code - 0xD0
            number = self._take(width)
            return number - (1 << 8 * width) if number >> 8 * width - 1 else number
        if code == 0xC0:
            return None
        if code in {0xC2, 0xC3}:
            return code == 0xC3
        raise RemoteError("bad-header", "A header has a msgpack type that the protocol lacks.")

    def _array(self, size: int, depth: int) -> list[Value]:
        if depth == 0:
            raise RemoteError("bad-header", "A header is nested too deeply.")
        return [self.value(depth - 1) for _ in range(size)]

    def _map(self, depth: int) -> dict[str, Value]:
        if depth == 0:
            raise RemoteError("bad-header", "A header is nested too deeply.")
        found: dict[str, Value] = {}
        for _ in range(self.size()):
            key = self.text()
            if key in found:
                raise RemoteError("bad-header", "A header has a key twice.")
            found[key] = self.value(depth - 1)
        return found

    def end(self) -> None:
        """Check that nothing is left over."""
        if self.at != len(self.view):
            raise RemoteError("bad-header", "A header has bytes after its end.")


def truncated_error() -> RemoteError:
    """Return the error for a value that is longer than its header."""
    return RemoteError("bad-header", "A header ends in the middle of a value.")


def unpack(data: bytes | bytearray | memoryview) -> dict[str, Value]:
    """Read a header, in a client, into objects. Raises RemoteError with code `bad-header`."""
    reader = Reader(memoryview(data))
    found = reader.value()
    reader.end()
    if not isinstance(found, dict):
        raise RemoteError("bad-header", "A header is not a msgpack map.")
    return found
