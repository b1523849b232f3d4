"""base64url from buffer to buffer is what the standard library says it is."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenward_protocol.base64url import decode_into, decoded_size, encode_into, encoded_size

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@given(st.binary(max_size=100))
def test_what_is_encoded_is_what_the_standard_library_writes(data: bytes) -> None:
    expected = base64.urlsafe_b64encode(data).rstrip(b"=")
    out = memoryview(bytearray(140))
    assert encode_into(memoryview(data), out) == encoded_size(len(data)) == len(expected)
    assert out[: len(expected)] == expected


@given(st.binary(max_size=100))
def test_what_is_decoded_is_what_was_encoded(data: bytes) -> None:
    text = base64.urlsafe_b64encode(data).rstrip(b"=")
    out = memoryview(bytearray(103))
    assert decode_into(memoryview(text), out) == decoded_size(len(text)) == len(data)
    assert out[: len(data)] == data


@given(st.binary(max_size=40), st.integers(0, 255), st.integers(0, 60))
def test_every_letter_of_another_alphabet_is_refused(data: bytes, letter: int, at: int) -> None:
    text = bytearray(base64.urlsafe_b64encode(data).rstrip(b"="))
    text[at % (len(text) + 1) : at % (len(text) + 1)] = bytes([letter])
    out = memoryview(bytearray(64))
    if chr(letter) in LETTERS and len(text) % 4 != 1:
        decode_into(text, out)
    else:
        with pytest.raises(ValueError, match="letter"):
            decode_into(text, out)


def test_the_unused_bits_of_a_last_letter_are_not_looked_at() -> None:
    out = memoryview(bytearray(8))
    assert decode_into(b"AB", out) == 1
    assert decode_into(b"AA", out) == 1
    assert bytes(out[:1]) == b"\0"


def test_nothing_is_written_beyond_the_spare_bytes() -> None:
    for size in range(12):
        data, out = bytes(range(size)), memoryview(bytearray(b"#" * 40))
        letters = encode_into(data, out)
        assert out[letters + 3 :] == b"#" * (37 - letters)
        back = memoryview(bytearray(b"#" * 40))
        decode_into(out[:letters], back)
        assert back[size + 3 :] == b"#" * (37 - size)
