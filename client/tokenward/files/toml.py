"""TOML files: where the settings are in the text, and inserting more.

A key goes to the top, where a top-level key can always stand, or into a table, and a table goes to
the end. Then the text is parsed again, as in `ini`: it must have the same settings and the new ones.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

from tokenward.errors import CommandError
from tokenward.files.draft import (
    BEFORE,
    NOTE,
    NOTES,
    Draft,
    ForeignSettingError,
    Setting,
    UneditableFileError,
)
from tokenward.files.reading import parse_toml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINES = 100
"""The maximum length of a setting in lines: each line costs another call of the parser."""

_LINE = re.compile(r"[^\n]*\n|[^\n]+")


def parse(text: str) -> dict[str, Any]:
    """Parse a text. Raises UneditableFileError."""
    try:
        return parse_toml(text.encode("utf-8", "surrogateescape"), "")
    except CommandError:  # the step that is refused names the file
        raise UneditableFileError from None


def settings(text: str) -> Iterator[Setting]:
    """Yield the headers and settings of a valid document, up to one with too many lines.

    The parser itself is asked whether each piece of the text is valid.
    """
    table: tuple[str, ...] = ()
    counts: dict[tuple[str, ...], int] = {}
    piece, start = "", 0
    for line in _LINE.finditer(text):
        if not piece:
            start = line.start()
            if not line[0].strip() or line[0].lstrip().startswith("#"):
                continue
        piece += line[0]
        try:
            parsed = tomllib.loads(piece)
        except tomllib.TOMLDecodeError:  # a text or an array of several lines
            if piece.count("\n") > MAX_LINES:
                return
            continue
        names = _names(parsed)
        if piece.lstrip().startswith("["):
            table = names
            counts[table] = counts.get(table, -1) + 1
            names = ()
        yield Setting(table + names, ((start, line.end()),), counts.get(table, 0))
        piece = ""


def _names(value: Any) -> tuple[str, ...]:
    """Return the names that lead to the first value that has not exactly one name."""
    names: tuple[str, ...] = ()
    while isinstance(value, dict) and len(value) == 1:
        ((name, value),) = value.items()
        names += (name,)
    return names


def put_value(draft: Draft, key: str, value: str, *, over: bool = False) -> None:
    """Set `key = "value"` at the top level. Raises the exceptions of `ini.put_values`."""
    wanted = parse(draft.text)
    if wanted.get(key) == value:
        return
    _put_line(draft, 0, key, value, wanted, over=over)
    wanted[key] = value
    _check(draft, wanted)


def put_in_table(
    draft: Draft, name: str, number: int, key: str, value: str, *, over: bool = False
) -> None:
    """Set `key = "value"` in the table `number` (from 0) of the array `[[name]]`."""
    wanted = parse(draft.text)
    table: dict[str, Any] = wanted[name][number]
    if table.get(key) == value:
        return
    headings = [*re.finditer(rf"(?m)^[ \t]*\[\[[ \t]*{name}[ \t]*\]\].*(?:\n|\Z)", draft.text)]
    if len(headings) != len(wanted[name]):
        raise UneditableFileError  # inline tables
    _put_line(draft, headings[number].end(), key, value, table, over=over)
    table[key] = value
    _check(draft, wanted)


def append_table(draft: Draft, name: str, lines: list[str]) -> None:
    """Append a table to the array `[[name]]`. Raises UneditableFileError."""
    wanted = parse(draft.text)
    more = parse("\n".join(lines))
    blank = [""] if draft.text else []
    draft.add(len(draft.text), *blank, NOTES, f"[[{name}]]", *lines)
    wanted[name] = [*wanted.get(name, []), more]
    _check(draft, wanted)


def _put_line(
    draft: Draft, below: int, key: str, value: str, table: dict[str, Any], *, over: bool
) -> None:
    line = f'{key} = "{value}"'
    if key not in table:
        draft.add(below, NOTE, line)
        return
    if not over:
        raise ForeignSettingError(key)
    old = re.compile(rf"(?m)^[ \t]*{key}[ \t]*=").search(draft.text, below)
    if old is None:
        raise UneditableFileError
    draft.add(old.start(), NOTE, line, comment=BEFORE)


def _check(draft: Draft, wanted: dict[str, Any]) -> None:
    if parse(draft.text) != wanted:
        raise UneditableFileError
