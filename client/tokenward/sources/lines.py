"""Where in a settings file each setting stands: what parsers know and do not tell.

The text has been read by a real parser before, so nothing here judges it; it is divided as that
parser divides it. `ini` is the form of configparser, `toml` that of TOML, where every piece is
found by asking the parser whether it is one. Spans are whole lines, with their ends.
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
"""Lines of the longest setting that is looked for the end of: each more costs another look."""

_LINE = re.compile(r"[^\n]*\n|[^\n]+")


class Setting(NamedTuple):
    """One setting: the names that lead to it, and its lines.

    `number` counts the tables of an array of tables from 0; the header of a table is a setting of
    its own, whose names are the table's.
    """

    names: tuple[str, ...]
    spans: tuple[Span, ...]
    number: int = 0


def ini(text: str) -> list[Setting]:
    """Return the options of an INI file: section and option in lower case, and its lines.

    A line that is indented deeper than its option continues it; comments and empty lines between
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
    """Yield the headers and settings of a valid TOML document, up to one of too many lines."""
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
    """Return the names that lead to the first value that is not simply one name further."""
    names: tuple[str, ...] = ()
    while isinstance(value, dict) and len(value) == 1:
        ((name, value),) = value.items()
        names += (name,)
    return names
