"""The lines of each setting in a settings file, which parsers know but do not report.

A real parser has read the text before, so nothing is judged here; the text is divided as that
parser divides it. `ini` is the format of configparser, `toml` that of TOML, where the parser itself
is asked whether each piece is valid. Spans are whole lines, with their ends.
"""

from __future__ import annotations

import re
import tomllib
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tokenward.sources.found import Span

MAX_LINES = 100
"""The maximum length of a setting in lines: each line costs another call of the parser."""

_LINE = re.compile(r"[^\n]*\n|[^\n]+")


class Setting(NamedTuple):
    """One setting: its names from the outermost on, and its lines.

    `number` counts the tables of an array of tables from 0; the header of a table is a setting with
    the names of the table.
    """

    names: tuple[str, ...]
    spans: tuple[Span, ...]
    number: int = 0


def ini(text: str) -> list[Setting]:
    """Return the options of an INI file: section and option in lower case, and the lines.

    Lines that are indented deeper than their option continue it; comments and empty lines between
    are not part of it. https://docs.python.org/3/library/configparser.html
    """
    found: list[Setting] = []
    section, indent, inside = "", 0, False
    for line in _LINE.finditer(text):
        stripped = line[0].strip()
        if not stripped or stripped[0] in "#;":
            continue
        depth = len(line[0]) - len(line[0].lstrip())
        if inside and depth > indent:
            last = found.pop()
            found.append(Setting(last.names, (*last.spans, line.span())))
            continue
        indent = depth
        header = re.match(r"\[(.+)\]", stripped)
        inside = header is None
        if header:
            section = header[1]
        else:
            option = re.split("[=:]", stripped, maxsplit=1)[0].strip().lower()
            found.append(Setting((section, option), (line.span(),)))
    return found


def toml(text: str) -> Iterator[Setting]:
    """Yield the headers and settings of a valid TOML document, up to one with too many lines."""
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
