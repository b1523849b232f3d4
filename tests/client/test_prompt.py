"""A line that is typed without being shown, as it grows."""

from __future__ import annotations

import pytest

from tokenward.prompt import Line

ERASE, KILL, END = b"\x7f", b"\x15", b"\x04"


def typed(*chunks: bytes) -> bytes | None:
    line = Line(ERASE, KILL, END)
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
