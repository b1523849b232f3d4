"""Sealing: a value opens where it belongs and nowhere else, and failing leaves nothing behind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenward_agent.vault.sealing import (
    OVERHEAD,
    Tampered,
    context,
    fill_random,
    open_into,
    open_listing,
    seal,
)

KEY = bytes(range(32))


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_what_was_sealed_opens_again(secret: bytes, aad: bytes) -> None:
    sealed = seal(memoryview(KEY), memoryview(secret), aad)
    out = memoryview(bytearray(300))
    assert len(sealed) == len(secret) + OVERHEAD
    assert bytes(out[: open_into(memoryview(KEY), sealed, aad, out)]) == secret
    assert open_listing(KEY, memoryview(sealed), aad) == secret


def test_two_seals_of_one_value_differ() -> None:
    assert seal(KEY, b"secret", b"") != seal(KEY, b"secret", b"")


@pytest.mark.parametrize("size", [0, 1, OVERHEAD - 1])
def test_what_is_shorter_than_a_seal_does_not_open(size: int) -> None:
    with pytest.raises(Tampered):
        open_into(KEY, bytes(size), b"", memoryview(bytearray(9)))
    with pytest.raises(Tampered):
        open_listing(KEY, bytes(size), b"")


def test_another_key_context_or_byte_does_not_open_and_leaves_the_output_empty() -> None:
    sealed = seal(KEY, b"secret", b"here")
    changed = sealed[:20] + bytes([sealed[20] ^ 1]) + sealed[21:]
    for key, value, aad in [
        (KEY[::-1], sealed, b"here"),
        (KEY, sealed, b"there"),
        (KEY, changed, b"here"),
    ]:
        out = bytearray(b"." * 9)
        with pytest.raises(Tampered):
            open_into(key, value, aad, memoryview(out))
        assert out == bytes(6) + b"..."
        with pytest.raises(Tampered):
            open_listing(key, value, aad)


def test_an_output_that_is_too_small_is_not_written() -> None:
    out = bytearray(5)
    with pytest.raises(ValueError, match="smaller"):
        open_into(KEY, seal(KEY, b"secret", b""), b"", memoryview(out))
    assert out == bytes(5)


fields = st.lists(st.text(st.characters(codec="utf-8")) | st.binary(), max_size=4)


@given(fields, fields)
def test_two_lists_of_fields_never_make_one_context(
    one: list[str | bytes], other: list[str | bytes]
) -> None:
    def raw(values: list[str | bytes]) -> list[bytes]:
        return [value.encode() if isinstance(value, str) else value for value in values]

    same = raw(one) == raw(other)
    assert (context(b"label", *one) == context(b"label", *other)) is same


def test_random_bytes_fill_the_whole_view_and_nothing_beside_it() -> None:
    block = bytearray(1002)
    fill_random(memoryview(block)[1:-1])
    assert block[0] == block[-1] == 0
    assert len(set(block)) > 200  # 1,000 random bytes miss 56 values about never
    fill_random(memoryview(block)[:0])
