"""Inserting lines into a TOML file: a key at the top, a key into a table, a table at the end.

Only at the top of a TOML file can a top-level key always stand. Then the text is parsed again, as
in `ini`: it must have the same settings and the new ones.
"""

from __future__ import annotations

import re
from typing import Any

from tokenward.errors import CommandError
from tokenward.files.reading import parse_toml
from tokenward.settings.setup_mark import NOTE
from tokenward.setup.draft import BEFORE, NOTES
from tokenward.setup.step import ForeignSettingError, UneditableFileError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward.setup.draft import Draft


def parse(text: str) -> dict[str, Any]:
    """Parse a text. Raises UneditableFileError."""
    try:
        return parse_toml(text.encode("utf-8", "surrogateescape"), "")
    except CommandError:  # the step that is refused names the file
        raise UneditableFileError from None


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
