"""A line that is typed without being shown, as it grows, and what each key does with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenward.ui.typed_line import TypedLine

ERASE, KILL, END, WORD = b"\x7f", b"\x15", b"\x04", b"\x17"


def typed(*chunks: bytes) -> bytes | None:
    line = TypedLine(ERASE, KILL, END, WORD)
    found = None
    for chunk in chunks:
        found = line.feed(chunk)
    return found


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\x04"])
def test_a_line_ends_where_the_terminal_says_so(end: bytes) -> None:
    assert typed(b"sec", b"ret" + end) == b"secret"


def test_a_line_is_not_there_before_its_end() -> None:
    assert typed(b"secret") is None


def test_what_stands_behind_the_line_is_not_in_it() -> None:
    assert typed(b"one\ntwo\n") == b"one"


def test_backspace_takes_a_whole_character_off() -> None:
    assert typed("aé日".encode() + b"\x7f\x08b\n") == b"ab"


def test_backspace_on_an_empty_line_does_nothing() -> None:
    assert typed(b"\x7f\x7fa\n") == b"a"


def test_the_kill_character_begins_anew() -> None:
    assert typed(b"wrong" + KILL + b"right\n") == b"right"


def test_the_end_on_an_empty_line_is_no_answer() -> None:
    with pytest.raises(EOFError):
        typed(END)


def test_an_empty_line_is_an_answer() -> None:
    assert typed(b"\n") == b""


def test_a_line_longer_than_the_terminals_own_editor_allows_is_whole() -> None:
    assert typed(*[b"x" * 1000] * 20, b"\n") == b"x" * 20_000


def test_the_marks_around_something_pasted_are_no_part_of_it() -> None:
    assert typed(b"\x1b[200~secret\x1b[201~\n") == b"secret"


KEYS = {
    "left": b"\x1b[D",
    "left, of an application": b"\x1bOD",
    "delete": b"\x1b[3~",
    "control and right": b"\x1b[1;5C",
    "F1 on Linux' console": b"\x1b[[A",
    "F5": b"\x1b[15~",
    "alt and b": b"\x1bb",
    "tab": b"\t",
    "control and a": b"\x01",
    "control and v": b"\x16",
    "control and l": b"\x0c",
    "nothing": b"\0",
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_key_that_writes_nothing_is_no_part_of_the_line_and_is_told_of(key: bytes) -> None:
    for chunks in ((b"sec" + key + b"ret",), (b"sec", *(bytes((each,)) for each in key), b"ret")):
        line = TypedLine(ERASE, KILL, END, WORD)
        assert [line.feed(chunk) for chunk in chunks] == [None] * len(chunks)
        assert line.passed_over
        assert not line.is_in_key
        assert line.feed(b"\n") == b"secret"


def test_escape_alone_takes_nothing_of_what_is_typed_after_it() -> None:
    line = TypedLine(ERASE, KILL, END, WORD)
    line.feed(b"sec\x1b")
    assert line.is_in_key
    line.end_key()
    assert line.feed(b"ret\n") == b"secret"


@pytest.mark.parametrize("key", ["\x1b\xe9", "\x1bO\u20ac", "\x1b\x1b\U0001f511"])
def test_of_a_character_that_is_typed_with_alt_no_byte_is_left(key: str) -> None:
    assert typed(b"sec", key.encode(), b"ret\n") == b"secret"
    assert typed("\xe9\u20ac".encode(), key.encode(), b"\n") == "\xe9\u20ac".encode()


def test_a_word_can_be_taken_back() -> None:
    assert typed(b"one two " + WORD + b"three\n") == b"one three"
    assert typed(b"wrong" + WORD + b"right\n") == b"right"
    assert typed(WORD + b"\n") == b""


def test_what_was_begun_before_a_stop_is_gone() -> None:
    line = TypedLine(ERASE, KILL, END, WORD)
    line.feed(b"abc\x1b[")
    line.clear()
    assert line.feed(b"secret\n") == b"secret"


@given(
    st.lists(st.sampled_from([*KEYS.values(), b"a", "\xe9".encode(), ERASE, KILL, WORD, b"\x1b"]))
)
def test_whatever_is_typed_no_control_character_gets_in(keys: list[bytes]) -> None:
    found = typed(*keys, b"\n")
    assert found is not None
    assert found.decode().isprintable()
