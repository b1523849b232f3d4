"""Requests read in place: what is let through, and how the rest is refused."""

from __future__ import annotations

import contextlib

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenward_agent.wire.request import BadRequest, read_request
from tokenward_protocol.messages import OPS, make_request
from tokenward_protocol.packing import pack

SECRET = "pypi-AgEIcHlwaS5vcmcSecretSecretSecret"


def refused(header: bytes, body: int = 0) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        read_request(memoryview(header), body)
    return caught.value


def raw(**header: object) -> bytes:
    return msgpack.packb({"v": 1, "id": 7, **header}) or b""


def test_a_request_is_read_as_the_client_wrote_it() -> None:
    header = make_request(
        "fetch", 7, {"service": "https://a.example/", "username": "ann", "dir": "/d"}
    )
    found = read_request(memoryview(header), 0)
    assert (found.op, found.number, found.directory) == ("fetch", 7, "/d")
    assert found.arguments == {"service": "https://a.example/", "username": "ann"}


@pytest.mark.parametrize(
    "spelling",
    ["https://ann:secret@a.example/", "HTTP://a@localhost/", "https://h.example/?token=secret"],
)
def test_a_spelling_with_what_may_be_a_secret_in_it_is_refused_unread(spelling: str) -> None:
    error = refused(raw(op="fetch", spelling=spelling))
    assert error.code == "bad-request"
    assert "secret" not in str(error)


@pytest.mark.parametrize("spelling", ["HTTPS://A.example:443", "ann@host", "ftp://x/?y", "a?b#c"])
def test_any_other_spelling_is_read_as_it_is(spelling: str) -> None:
    assert (
        read_request(memoryview(raw(op="fetch", spelling=spelling)), 0).arguments["spelling"]
        == spelling
    )


def test_an_unknown_request_is_named() -> None:
    error = refused(raw(op="burn"))
    assert (error.code, error.number) == ("unknown-op", 7)
    assert str(error) == "There is no request burn."


def test_an_unknown_key_is_named() -> None:
    error = refused(raw(op="lock", colour="red"))
    assert error.code == "bad-request"
    assert str(error) == "There is no key colour."


@pytest.mark.parametrize("header", [raw(op=SECRET), raw(op="lock", **{SECRET: 1})])
def test_a_secret_where_a_word_belongs_is_not_repeated(header: bytes) -> None:
    assert SECRET not in str(refused(header))


@pytest.mark.parametrize(
    "service",
    [
        "https://ann:secret@a.example/",
        "https://a.example",
        "https://a.example/path",
        "HTTPS://a.example/",
        "https://A.example/",
        "ftp://a.example/",
        "https://a.example/?q=1/",
        "https://a.example/#f/",
        "https://a.example:0/",
        "https://a.example/a b/",
    ],
)
def test_a_url_in_another_spelling_is_refused(service: str) -> None:
    assert refused(raw(op="fetch", service=service)).code == "bad-request"


@pytest.mark.parametrize("service", ["poetry-repository-x", "a.example:8080", "\n\t ünïcode", ""])
def test_any_other_string_is_an_opaque_service(service: str) -> None:
    header = raw(op="fetch", service=service)
    assert read_request(memoryview(header), 0).arguments["service"] == service


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (raw(op="restore"), "bad-request"),
        (raw(op="list", after="1"), "bad-request"),
        (raw(op="list", after=-1), "bad-request"),
        (raw(op="list", after=1 << 63), "bad-request"),
        (raw(op="list", after=None), "bad-request"),
        (raw(op="logout", all=1), "bad-request"),
        (raw(op="fetch", service=b"bytes"), "bad-header"),
        (raw(op="fetch", service=["a"]), "bad-header"),
        (raw(op="fetch", service="x" * 2049), "too-large"),
        (raw(op="fetch", service="x", username="x" * 1025), "too-large"),
        (raw(op="fetch", service=msgpack.ExtType(1, b"x")), "bad-header"),
        (raw(op="hello", service="x"), "bad-request"),
        (raw(op="lock") + b"\xc0", "bad-header"),
        (b"\x90", "bad-header"),
        (b"", "bad-header"),
        (msgpack.packb({"v": 2, "id": 7, "op": "lock"}), "version"),
        (msgpack.packb({"id": 7, "op": "lock"}), "version"),
        (msgpack.packb({"v": 1, "op": "lock"}), "bad-request"),
        (msgpack.packb({"v": 1, "id": 7}), "bad-request"),
        (b"\x84" + raw(op="lock")[1:] + b"\xa2id\x08", "bad-header"),
    ],
)
def test_a_header_outside_the_vocabulary_is_refused(header: bytes, code: str) -> None:
    assert refused(header).code == code


def test_a_body_where_none_belongs_is_refused() -> None:
    assert refused(raw(op="lock"), body=3).code == "bad-request"


def test_every_prefix_of_a_request_is_refused() -> None:
    header = make_request("login", 7, {"service": "https://a.example/", "username": "ann"})
    for end in range(len(header)):
        refused(header[:end], 3)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail_in_another_way(header: bytes) -> None:
    with contextlib.suppress(BadRequest):
        read_request(memoryview(header), 0)


VALUES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=20)


@given(
    st.dictionaries(
        st.sampled_from(["v", "id", "op", "dir", "service", "username", "all", "after", "keep"]),
        VALUES | st.sampled_from([1, *OPS]),
    ),
    st.integers(0, 3),
)
def test_what_is_let_through_is_in_the_vocabulary(
    header: dict[str, bool | int | str | None], body: int
) -> None:
    try:
        found = read_request(memoryview(pack(dict(header))), body)
    except BadRequest:
        return
    known = OPS[found.op]
    assert set(found.arguments) <= set(known.arguments)
    assert known.required <= set(found.arguments)
