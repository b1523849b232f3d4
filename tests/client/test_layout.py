"""How things are said to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tokenward.ui import formatting

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = 1_700_000_000


def test_control_characters_are_shown_as_escapes() -> None:
    assert formatting.escape("a\x1b[31mb\r\n\x00") == r"a\x1b[31mb\r\n\x00"


def test_marks_that_turn_text_around_are_shown_as_escapes() -> None:
    assert formatting.escape("https://\u202eelpmaxe.h") == r"https://\u202eelpmaxe.h"


def test_letters_of_every_script_stay() -> None:
    assert formatting.escape("Jürgen 日本 שלום") == "Jürgen 日本 שלום"


def test_bytes_that_were_no_utf8_can_be_shown() -> None:
    assert formatting.escape("a\udcff") == r"a\udcff"


def test_columns_line_up_whatever_the_letters_are_wide() -> None:
    rows = [("NAME", "X"), ("日本", "1"), ("e\u0301", "2")]
    assert laid_out(rows) == ["NAME  X", "日本  1", "e\u0301     2"]


def test_nothing_trails_a_line() -> None:
    assert laid_out([("a", ""), ("long", ("b", "red"))]) == ["a", "long  b"]


def laid_out(rows: Sequence[Sequence[formatting.Part]]) -> list[str]:
    return ["".join(map(formatting.text_of, line)) for line in formatting.columns(rows)]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one two", ["one two"]),
        ("one two three four", ["one two", "  three", "  four"]),
        ("https://h.example/long/path x", ["https://h.example/long/path", "  x"]),
        ("do `chmod 700 /a/b`, ok", ["do", "  `chmod 700 /a/b`,", "  ok"]),
        ("", [""]),
    ],
)
def test_a_text_is_broken_at_blanks_and_a_command_stays_whole(text: str, lines: list[str]) -> None:
    assert formatting.wrap(text, 9, "  ") == lines


def test_the_last_part_of_a_line_is_broken_below_itself() -> None:
    line: list[formatting.Part] = [("warning", "yellow"), "  ", "a sentence of some words"]
    fitted = formatting.fit(line, 24)
    assert fitted == [
        [("warning", "yellow"), "  ", "a sentence of"],
        [" " * 9, "some words"],
    ]
    assert formatting.fit(line, 80) == [line]


def test_a_line_without_room_below_its_last_part_is_broken_as_a_whole() -> None:
    assert formatting.fit(["a long beginning  ", "and its end"], 20) == [
        ["a long beginning "],
        ["  ", "and its end"],
    ]


def test_a_row_that_is_too_wide_is_a_block() -> None:
    row: list[formatting.Part] = ["https://h.example", "alice", ("expired", "red"), "", "password"]
    assert formatting.stack(row, 20) == [
        ["https://h.example"],
        ["    alice, expired,"],
        ["    password"],
    ]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (7199, "1 hour ago"),
        (3 * 86400, "3 days ago"),
        (400 * 86400, "1 year ago"),
        (-5, "just now"),  # the clock was set back
    ],
)
def test_an_age_is_said_in_its_largest_unit(seconds: int, said: str) -> None:
    assert formatting.ago_text(NOW - seconds, NOW) == said


def test_what_was_not_used_was_never_used() -> None:
    assert formatting.ago_text(None, NOW) == "never"


@pytest.mark.parametrize(
    ("seconds", "said"), [(8 * 3600, "in 8 hours"), (1, "in seconds"), (0, "over"), (-9, "over")]
)
def test_an_end_is_said_from_now(seconds: int, said: str) -> None:
    assert formatting.ahead_text(NOW + seconds, NOW) == said


@pytest.mark.parametrize(
    ("things", "said"),
    [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")],
)
def test_several_things_make_one_list(things: list[str], said: str) -> None:
    assert formatting.join_words(things) == said


def test_a_token_and_a_password_are_named_differently() -> None:
    assert (
        formatting.credential_text("__token__", "https://upload.pypi.org/legacy/")
        == "the token for pypi"
    )
    assert (
        formatting.credential_text("al", "https://h.example/")
        == "the password of al for https://h.example/"
    )


def test_json_has_moments_in_utc() -> None:
    assert formatting.timestamp(NOW) == "2023-11-14T22:13:20Z"
    assert formatting.timestamp(None) is None
