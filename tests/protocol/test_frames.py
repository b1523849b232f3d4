"""Frames: how they are divided, and that nothing past a limit is waited for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenward_protocol import LocalError, RemoteError
from tokenward_protocol.frames import (
    MAX_BODY,
    MAX_FRAME,
    MAX_HEADER,
    PREFIX,
    find_frame,
    make_frame,
    make_prefix,
)

PARTS = st.binary(max_size=300)


@given(PARTS, PARTS, PARTS)
def test_a_frame_is_divided_as_it_was_put_together(header: bytes, body: bytes, rest: bytes) -> None:
    data = memoryview(make_frame(header, body) + rest)
    ends = find_frame(data)
    assert ends is not None
    middle, end = ends
    assert bytes(data[PREFIX:middle]) == header
    assert bytes(data[middle:end]) == body
    assert bytes(data[end:]) == rest


@given(PARTS, PARTS)
def test_a_frame_cut_at_any_byte_is_not_whole(header: bytes, body: bytes) -> None:
    data = make_frame(header, body)
    assert all(find_frame(memoryview(data[:end])) is None for end in range(len(data)))


@pytest.mark.parametrize(
    ("header", "body"), [(0, 0), (MAX_HEADER, 0), (0, MAX_BODY), (MAX_HEADER, MAX_BODY)]
)
def test_the_largest_frame_is_taken(header: int, body: int) -> None:
    data = make_frame(bytes(header), bytes(body))
    assert find_frame(memoryview(data)) == (PREFIX + header, len(data))


@pytest.mark.parametrize(
    ("length", "header", "code"),
    [
        (MAX_FRAME + 1, 10, "too-large"),
        (0xFFFFFFFF, 0, "too-large"),
        (2 + 10 + MAX_BODY + 1, 10, "too-large"),
        (0, 0, "bad-frame"),
        (1, 0, "bad-frame"),
        (2, 1, "bad-frame"),
        (11, 10, "bad-frame"),
    ],
)
def test_a_length_is_judged_from_the_first_six_bytes(length: int, header: int, code: str) -> None:
    claim = length.to_bytes(4, "big") + header.to_bytes(2, "big")
    with pytest.raises(RemoteError) as caught:
        find_frame(memoryview(claim))
    assert caught.value.code == code


@pytest.mark.parametrize(("header", "body"), [(MAX_HEADER + 1, 0), (0, MAX_BODY + 1)])
def test_what_is_too_large_is_not_sent(header: int, body: int) -> None:
    with pytest.raises(LocalError) as caught:
        make_prefix(header, body)
    assert caught.value.code == "too-large"
