"""Lengths of time as a person writes them."""

from __future__ import annotations

import pytest

from tokenward_protocol.durations import parse_seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1s", 1), ("90m", 5400), ("8h", 28800), ("7d", 604800), ("2w", 1209600), ("1h30m", 5400)],
)
def test_a_number_with_a_unit_is_a_length_of_time(text: str, expected: int) -> None:
    assert parse_seconds(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "8", "h", "0s", "-1h", "1.5h", "8 h", "8H", "1h30", "٣h", "9" * 30 + "s", "101000d", "h8"],
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="90m, 8h, 7d"):
        parse_seconds(text)
