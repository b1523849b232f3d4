"""Macaroons are read and narrowed as pymacaroons does it, and whatever is malformed is refused."""

from __future__ import annotations

import hmac
from typing import Any

import pymacaroons
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.macaroons import IDENTIFIER, ROOT_KEY, caveats_of, letters, raw_of, token_of
from tokenward_protocol.macaroons import (
    MAX_TOKEN,
    SPARE,
    attenuate,
    attenuated_size,
    parse_macaroon,
    plain_mac,
    unwrap,
    wrap_into,
)

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
caveats = st.lists(texts | st.sampled_from([126, 127, 128, 129, 300]).map("x".__mul__), max_size=5)


def made(location: str, identifier: str, chain: list[str]) -> Any:
    found = pymacaroons.Macaroon(
        location=location, identifier=identifier, key=ROOT_KEY, version=pymacaroons.MACAROON_V2
    )
    for caveat in chain:
        found.add_first_party_caveat(caveat)
    return found


def narrowed(text: str, *more: str) -> str:
    """Narrow the letters of a macaroon."""
    raw, out = (memoryview(bytearray(MAX_TOKEN + SPARE)) for _ in range(2))
    parent = memoryview(text.encode())
    found, size = unwrap(parent, raw)
    added = [caveat.encode() for caveat in more]
    grown = attenuate(found, size, raw, added, plain_mac)
    assert grown == attenuated_size(found, added)
    return str(out[: wrap_into(raw[:grown], parent, found.end, out)], "ascii")


@given(texts | st.just("pypi.org"), texts, caveats, caveats)
def test_a_narrowed_macaroon_is_byte_for_byte_that_of_pymacaroons(
    location: str, identifier: str, chain: list[str], more: list[str]
) -> None:
    theirs = made(location, identifier, chain)
    ours = narrowed(theirs.serialize(), *more)
    for caveat in more:
        theirs.add_first_party_caveat(caveat)
    assert ours == theirs.serialize()
    verifier = pymacaroons.Verifier()
    verifier.satisfy_general(lambda _caveat: True)
    assert verifier.verify(pymacaroons.Macaroon.deserialize(ours), ROOT_KEY)
    assert caveats_of(f"pypi-{ours}") == chain + more


@given(texts | st.just(""), texts, caveats)
def test_what_is_read_is_what_pymacaroons_wrote(
    location: str, identifier: str, chain: list[str]
) -> None:
    raw = memoryview(raw_of("-" + made(location, identifier, chain).serialize()))
    found = parse_macaroon(raw)
    assert raw[slice(*found.location)] == location.encode()
    assert raw[slice(*found.identifier)] == identifier.encode()
    assert [str(raw[slice(*span)], "utf-8") for span in found.caveats] == chain


def test_a_macaroon_without_a_location_is_read() -> None:
    found = parse_macaroon(memoryview(raw_of(token_of("", prefix="devpi-"))))
    assert found.location == (1, 1)


def test_a_caveat_may_be_empty_where_somebody_else_wrote_it_and_not_in_ours() -> None:
    text = token_of("pypi.org", IDENTIFIER, "")[5:]
    assert narrowed(text, "x") != text
    with pytest.raises(ValueError, match="empty or too long"):
        narrowed(text, "")
    with pytest.raises(ValueError, match="empty or too long"):
        narrowed(text, "x" * (1 << 14))


def test_hmac_is_written_over_its_own_key() -> None:
    buffer = memoryview(bytearray(b"k" * 32))
    plain_mac(buffer, b"message", buffer)
    assert buffer == hmac.digest(b"k" * 32, b"message", "sha256")


WHOLE = raw_of(token_of("pypi.org", "id", "[1]", "[2]"))
_HEAD = b"\x02\x01\x08pypi.org\x02\x02id\x00"
_TAIL = b"\x00\x06\x20" + bytes(32)


def test_the_parts_of_these_tests_make_a_macaroon() -> None:
    found = parse_macaroon(memoryview(_HEAD + _TAIL))
    assert (found.location, found.identifier) == ((3, 11), (13, 15))
    assert (found.caveats, found.end) == ((), 16)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x01" + WHOLE[1:],
        b"\x02",
        b"\x02\x00" + _TAIL,
        b"\x02\x02\x00\x00" + _TAIL,
        b"\x02\x02\x02id\x01\x08pypi.org\x00" + _TAIL,
        _HEAD + _TAIL + b"\x00",
        _HEAD + _TAIL[:-1],
        _HEAD + b"\x00\x06\x21" + bytes(33),
        _HEAD + b"\x00\x06\x1f" + bytes(31),
        _HEAD + b"\x00\x02\x20" + bytes(32),
        _HEAD + b"\x02\x01c\x04\x01v\x00" + _TAIL,
        _HEAD + b"\x01\x01l\x02\x01c\x04\x01v\x00" + _TAIL,
        _HEAD + b"\x02\x81\x00c\x00" + _TAIL,
        _HEAD + b"\x02\x80\x80\x01c\x00" + _TAIL,
        _HEAD + b"\x02\xff\x7fc\x00" + _TAIL,
        _HEAD[:-1] + b"\x03\x01x\x00" + _TAIL,
    ],
    ids=[
        "nothing",
        "version 1",
        "only a version",
        "no identifier",
        "an empty identifier",
        "the identifier before the location",
        "something behind the signature",
        "a short signature",
        "a long signature field",
        "a short signature field",
        "another field for the signature",
        "a third party's caveat",
        "a third party's caveat with a location",
        "a length written too long",
        "a length in three bytes",
        "a length past the end",
        "an unknown field",
    ],
)
def test_what_is_malformed_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="macaroon"):
        parse_macaroon(memoryview(raw))


def test_no_prefix_of_a_macaroon_is_one() -> None:
    for size in range(len(WHOLE)):
        with pytest.raises(ValueError, match="macaroon"):
            parse_macaroon(memoryview(WHOLE[:size]))


@given(st.binary(max_size=120) | st.binary(max_size=60).map(_HEAD.__add__))
def test_any_bytes_are_read_or_refused_with_a_value_error(data: bytes) -> None:
    try:
        found = parse_macaroon(memoryview(data))
    except ValueError:
        return
    assert data[found.end : found.end + 3] == b"\x00\x06\x20"


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_a_mangled_macaroon_is_read_or_refused_with_a_value_error(at: int, byte: int) -> None:
    data = bytearray(WHOLE)
    data[at] = byte
    try:
        parse_macaroon(memoryview(data))
    except ValueError:
        return


def test_what_is_longer_than_any_token_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(ValueError, match="longer than any index makes"):
        unwrap(memoryview(b"A" * (MAX_TOKEN + 1)), memoryview(bytearray()))


def test_letters_that_stand_for_nothing_are_refused() -> None:
    raw = memoryview(bytearray(MAX_TOKEN))
    good = letters(WHOLE)
    for text in (good + "=", good + "A" * (4 - len(good) % 4 + 1), "+" + good[1:], good + " "):
        with pytest.raises(ValueError, match=r"letter|macaroon"):
            unwrap(memoryview(text.encode()), raw)
