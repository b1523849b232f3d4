"""Targets: what is read in one way alone, and what is refused because two readers may differ."""

from __future__ import annotations

import posixpath
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenward_relay.refusal import Refusal
from tokenward_relay.target import MAX_TARGET, parse_target


@pytest.mark.parametrize(
    ("raw", "segments", "query"),
    [
        (b"/", (b"",), b""),
        (b"/simple/", (b"simple", b""), b""),
        (
            b"/a/mine-1.0+local.1-py3-none-any.whl",
            (b"a", b"mine-1.0+local.1-py3-none-any.whl"),
            b"",
        ),
        (b"/root/pypi/+f/1!2.tar.gz?x=/?", (b"root", b"pypi", b"+f", b"1!2.tar.gz"), b"x=/?"),
        (b"/%61%2D", (b"a-",), b""),
        (b"/file.whl;build=1", (b"file.whl;build=1",), b""),
        (b"/projects/group%2Fproject/x", (b"projects", b"group/project", b"x"), b""),
    ],
)
def test_a_path_is_decoded_segment_by_segment(
    raw: bytes, segments: tuple[bytes, ...], query: bytes
) -> None:
    assert parse_target(raw) == (raw, segments, query)


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"a", b"*", b"https://index.example/", b"//x", b"/a//b", b"/a//", b"/%2F", b"/a%2F"),
        *(
            b"/.",
            b"/..",
            b"/...",
            b"/./a",
            b"/a/../b",
            b"/%2e%2E/x",
            b"/..;/b",
            b"/a/.;x/b",
            b"/;x/b",
        ),
        *(b"/a%2f..%2fb", b"/..%2fb", b"/a%5cb", b"/a\\b", b"/a%00b", b"/a%20b", b"/a b", b"/a%7f"),
        *(b"/a%", b"/a%2", b"/a%zz", b"/a%u002e", b"/a%252fb", b"/a%252e%252e/b", b"/?%", b"/?a%2"),
        *(b"/a%3fb", b"/a%23b", b"/a#b", b"/?a#b", b"/a\xc3\xa9", b"/a%c3%a9", b"/%c0%ae%c0%ae/b"),
        *(
            b"/a%0d%0aX:",
            b"/a\r\nb",
            b"/a\n",
            b"/?a\n",
            b'/a"b',
            b"/a<b",
            b"/a|b",
            b"/[a]",
            b"/?\x80",
        ),
    ],
)
def test_a_path_that_two_readers_read_in_two_ways_is_refused(raw: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        parse_target(raw)
    assert caught.value.status == 400
    assert caught.value.text.isascii()
    assert caught.value.text.isprintable()


def test_a_path_is_at_most_8_kib_long() -> None:
    assert parse_target(b"/" + b"a" * (MAX_TARGET - 1))
    with pytest.raises(Refusal) as caught:
        parse_target(b"/" + b"a" * MAX_TARGET)
    assert caught.value.status == 414


PIECES = st.sampled_from(
    [
        *(
            b"/",
            b"//",
            b".",
            b"..",
            b";",
            b"%2e",
            b"%2E",
            b"%2f",
            b"%5c",
            b"\\",
            b"%",
            b"%25",
            b"%252e",
        ),
        *(
            b"a",
            b"simple",
            b"?",
            b"#",
            b"%00",
            b" ",
            b"+",
            b":",
            b"@",
            b"\x80",
            b"%ff",
            b"%3b",
            b"~",
        ),
    ]
)
TARGETS = st.lists(PIECES, max_size=12).map(lambda pieces: b"/" + b"".join(pieces))


@given(TARGETS)
def test_every_reader_agrees_about_a_path_that_is_let_through(raw: bytes) -> None:
    """By urllib and posixpath: read as it is, decoded once, decoded twice, with `;x` cut off."""
    try:
        found = parse_target(raw)
    except Refusal:
        return
    path = raw.partition(b"?")[0]
    assert urlsplit(raw.decode()).path == path.decode()
    assert tuple(map(unquote_to_bytes, path[1:].split(b"/"))) == found.segments
    once = unquote_to_bytes(path)
    assert unquote_to_bytes(once) == once
    cut = b"/".join(piece.partition(b";")[0] for piece in once.split(b"/"))
    for reading in (path, once, cut):
        assert posixpath.normpath(reading) == (reading.rstrip(b"/") or b"/")
