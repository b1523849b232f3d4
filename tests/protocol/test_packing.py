"""The header's msgpack subset, against the `msgpack` package as its oracle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tokenward_protocol import LocalError, RemoteError
from tokenward_protocol.packing import MAX_DEPTH, Reader, pack, unpack

if TYPE_CHECKING:
    from tokenward_protocol.packing import Value

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text()
    | st.text(min_size=30, max_size=34)
)
VALUES: st.SearchStrategy[Value] = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=40), inner, max_size=20)
    ),
    max_leaves=20,
)
HEADERS = st.dictionaries(st.text(max_size=12), VALUES, max_size=6)
EDGES = [
    edge + step
    for power in (5, 7, 8, 15, 16, 31, 32, 63)
    for edge in (2**power, -(2**power))
    for step in (-1, 0, 1)
    if edge + step >= -(2**63)
]


def oracle(data: bytes) -> object:
    """What `msgpack` reads, strictly: no duplicate keys, no rest, text for keys."""

    def pairs(found: list[tuple[object, object]]) -> dict[object, object]:
        if len(dict(found)) != len(found) or not all(isinstance(k, str) for k, _ in found):
            raise ValueError
        return dict(found)

    return msgpack.unpackb(data, raw=False, strict_map_key=True, object_pairs_hook=pairs)


def meaning(data: bytes) -> dict[str, Any] | None:
    """What `data` means if it is a header of the subset, by msgpack's word; else None."""
    try:
        found = oracle(data)
    except Exception:  # noqa: BLE001 - whatever msgpack raises, it does not read this
        return None
    return found if isinstance(found, dict) and in_subset(found) else None


def in_subset(value: object, depth: int = MAX_DEPTH) -> bool:
    if value is None or type(value) in {bool, int, str}:
        return True
    if isinstance(value, list):
        return depth > 0 and all(in_subset(item, depth - 1) for item in value)
    if isinstance(value, dict):
        return depth > 0 and all(in_subset(item, depth - 1) for item in value.values())
    return False


def refused(data: bytes) -> bool:
    try:
        unpack(data)
    except RemoteError as error:
        return error.code == "bad-header"
    return False


@given(VALUES)
def test_what_we_write_is_byte_for_byte_what_msgpack_writes(value: Value) -> None:
    assert pack(value) == msgpack.packb(value)


@pytest.mark.parametrize("number", EDGES)
def test_integers_at_the_edge_of_each_width_are_written_and_read(number: int) -> None:
    assert pack(number) == msgpack.packb(number)
    assert unpack(pack({"n": number})) == {"n": number}


@pytest.mark.parametrize("size", [0, 15, 16, 31, 32, 255, 256, 65535, 65536])
def test_texts_arrays_and_maps_at_the_edge_of_each_width(size: int) -> None:
    texts: list[Value] = ["x" * size]
    nothings: list[Value] = [None] * size
    for value in (*texts, nothings, dict.fromkeys(map(str, range(size)))):
        assert pack(value) == msgpack.packb(value)
        assert unpack(pack({"": value})) == {"": value}


@given(HEADERS)
def test_a_header_survives_the_way_there_and_back(header: dict[str, Value]) -> None:
    assert unpack(pack(header)) == header


@given(HEADERS)
def test_every_prefix_of_a_header_is_refused(header: dict[str, Value]) -> None:
    data = pack(header)
    assert all(refused(data[:end]) for end in range(len(data)))


@given(HEADERS, st.binary(min_size=1, max_size=4))
def test_bytes_behind_a_header_are_refused(header: dict[str, Value], rest: bytes) -> None:
    assert refused(pack(header) + rest)


@given(st.binary(max_size=60).map(lambda tail: b"\x82" + tail) | st.binary(max_size=60))
@example(b"\x81\xa1a\xca\x00\x00\x00\x00")
@example(b"\x81\xa1a\xc4\x00")
@example(b"\x82\xa1a\x01\xa1a\x02")
@example(b"\xde\x00\x01\xd9\x01a\xd3\x00\x00\x00\x00\x00\x00\x00\x01")
@example(b"\x81\xa1\xff\x01")
def test_any_bytes_are_read_as_msgpack_reads_them_or_refused(data: bytes) -> None:
    expected = meaning(data)
    if expected is None:
        assert refused(data)
    else:
        assert unpack(data) == expected


@given(HEADERS, st.data())
def test_a_flipped_byte_is_read_as_msgpack_reads_it_or_refused(
    header: dict[str, Value], data: st.DataObject
) -> None:
    packed = bytearray(pack(header))
    packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    expected = meaning(bytes(packed))
    if expected is None:
        assert refused(bytes(packed))
    else:
        assert unpack(packed) == expected


@pytest.mark.parametrize(
    "value",
    [1.5, b"secret", msgpack.Timestamp(1), msgpack.ExtType(5, b"x")],
    ids=["float", "binary", "time", "extension"],
)
def test_types_that_the_subset_lacks_are_refused_wherever_they_stand(value: object) -> None:
    for header in ({"a": value}, {"a": [value]}, {"a": {"b": value}}):
        assert refused(bytes(msgpack.packb(header) or b""))


@pytest.mark.parametrize("code", [0xC1, *range(0xC4, 0xCC), *range(0xD4, 0xD9)])
def test_every_code_outside_the_subset_is_refused(code: int) -> None:
    assert refused(b"\x81\xa1a" + bytes([code]) + bytes(20))


def test_a_key_that_is_there_twice_is_refused_at_any_depth() -> None:
    assert refused(b"\x82\xa1a\x01\xa1a\x01")
    assert refused(b"\x81\xa1m\x82\xa1a\x01\xd9\x01a\x02")


def nested(levels: int) -> bytes:
    """A map around arrays, `levels` in all."""
    return b"\x81\xa1a" + b"\x91" * (levels - 1) + b"\x01"


def test_sixteen_levels_are_read_and_seventeen_are_not() -> None:
    assert not refused(nested(MAX_DEPTH))
    assert refused(nested(MAX_DEPTH + 1))
    assert refused(nested(60_000))


def test_a_claimed_size_reserves_nothing() -> None:
    for claim in (b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff"):
        assert refused(b"\x81\xa1a" + claim)


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1])
def test_an_integer_of_more_than_64_bits_is_not_written(value: int) -> None:
    with pytest.raises(LocalError, match="64 bits"):
        pack(value)


@pytest.mark.parametrize("value", [1.5, b"x", object(), {1: "x"}, "\ud800"])
def test_what_the_subset_lacks_is_not_written(value: object) -> None:
    with pytest.raises(LocalError):
        pack({"a": value})  # type: ignore[dict-item]


@given(st.text(max_size=300))
def test_a_text_is_found_in_place(text: str) -> None:
    data = memoryview(b"\x01\x02" + pack(text) + b"\x03")[2:]
    reader = Reader(data)
    start, end = reader.span()
    assert bytes(data[start:end]) == text.encode()
    assert reader.at == end
