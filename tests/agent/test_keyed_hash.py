"""The keyed hash is HMAC-SHA256, and what the library made of it is overwritten."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tokenward_agent.vault.sealing import MAC_SIZE as SIZE
from tokenward_agent.vault.sealing import mac_into

if TYPE_CHECKING:
    import pytest


@given(st.binary(min_size=SIZE, max_size=SIZE), st.binary(max_size=200))
def test_it_is_written_into_the_callers_memory_and_may_replace_its_key(
    key: bytes, message: bytes
) -> None:
    expected = hmac.new(key, message, hashlib.sha256).digest()
    out = memoryview(bytearray(SIZE))
    mac_into(memoryview(key), message, out)
    assert out == expected
    held = memoryview(bytearray(key))
    mac_into(held, message, held)
    assert held == expected


def test_the_object_that_the_library_returned_holds_nothing_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    digest, kept = hmac.digest, list[bytes]()

    def keeping(key: bytes, message: bytes, name: str) -> bytes:
        kept.append(digest(key, message, name))
        return kept[-1]

    monkeypatch.setattr(hmac, "digest", keeping)
    out = memoryview(bytearray(SIZE))
    mac_into(memoryview(bytes(range(SIZE))), b"a caveat", out)
    assert out == digest(bytes(range(SIZE)), b"a caveat", "sha256")
    assert kept[0] == bytes(SIZE)
    assert bytes(out) not in kept
