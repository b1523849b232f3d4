"""base64url without padding (RFC 4648, section 5), from one buffer into another.

Not `binascii`, since it returns new objects and keeps copies: in the agent no object may hold a
token's content. Here a letter is only ever a number, and the result goes into the caller's buffer.
The unused bits of the last letter are ignored, as the indexes ignore them. Padding, blanks and every
other letter are refused.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    Buffer = bytes | bytearray | memoryview

_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_NONE: Final = 1 << 24  # greater than any value of four letters
_VALUES: Final = [_NONE] * 256
for _value, _letter in enumerate(_LETTERS):
    _VALUES[_letter] = _value
_AFTER: Final = [
    [value << shift if value < 64 else _NONE for value in _VALUES] for shift in (6, 12, 18)
]


def decoded_size(letters: int) -> int:
    """Return the number of bytes that so many letters encode. Raises ValueError for a wrong number."""
    if letters % 4 == 1:
        raise ValueError("the number of letters is wrong")
    return letters * 3 // 4


def encoded_size(size: int) -> int:
    """Return the number of letters for so many bytes."""
    return (size * 4 + 2) // 3


def decode_into(text: Buffer, out: memoryview) -> int:
    """Decode *text* to the start of *out*, and return the number of bytes.

    *out* needs room for three bytes more than `decoded_size`. Raises ValueError for a wrong letter;
    *out* then holds a part of the result.
    """
    size = decoded_size(len(text))
    values, second, third, first = _VALUES, *_AFTER
    whole = len(text) - len(text) % 4
    at = 0
    for i in range(0, whole, 4):
        word = first[text[i]] | third[text[i + 1]] | second[text[i + 2]] | values[text[i + 3]]
        if word >= _NONE:
            raise ValueError("a letter is not of base64url")
        out[at], out[at + 1], out[at + 2] = word >> 16, word >> 8 & 0xFF, word & 0xFF
        at += 3
    if whole < len(text):
        word = first[text[whole]] | third[text[whole + 1]]
        if whole + 2 < len(text):
            word |= second[text[whole + 2]]
        if word >= _NONE:
            raise ValueError("a letter is not of base64url")
        out[at], out[at + 1], out[at + 2] = word >> 16, word >> 8 & 0xFF, 0
    return size


def encode_into(data: Buffer, out: memoryview) -> int:
    """Encode *data* to *out*, which has room for three letters more; return their number."""
    letters = _LETTERS
    at = 0
    whole = len(data) - len(data) % 3
    for i in range(0, whole, 3):
        word = data[i] << 16 | data[i + 1] << 8 | data[i + 2]
        out[at], out[at + 1] = letters[word >> 18], letters[word >> 12 & 63]
        out[at + 2], out[at + 3] = letters[word >> 6 & 63], letters[word & 63]
        at += 4
    if whole < len(data):
        word = data[whole] << 16
        if whole + 1 < len(data):
            word |= data[whole + 1] << 8
        out[at], out[at + 1], out[at + 2] = (
            letters[word >> 18],
            letters[word >> 12 & 63],
            letters[word >> 6 & 63],
        )
    return encoded_size(len(data))
