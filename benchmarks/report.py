"""The table, for people and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from figures import Row

_HEAD = ("figure", "to reach", "measured", "")
_VERDICT = {True: "reached", False: "MISSED", None: "not run"}


def table(rows: Sequence[Row]) -> str:
    """Lay the rows out in columns, what each figure was made of under it."""
    cells = [(row.figure, _target(row), _number(row), _VERDICT[row.met]) for row in rows]
    widths = [max(map(len, column)) for column in zip(_HEAD, *cells, strict=True)]
    lines = ["  " + _line(_HEAD, widths), "  " + _line(["-" * width for width in widths], widths)]
    what = ""
    for row, each in zip(rows, cells, strict=True):
        if row.what != what:
            what = row.what
            lines.append(what)
        lines.append("  " + _line(each, widths))
        if told := "; ".join(filter(None, (row.note, _aside(row), _spread(row)))):
            lines.append(f"    {told}")
    return "\n".join(lines)


def as_json(machine: dict[str, str], loads: tuple[float, float], rows: Sequence[Row]) -> str:
    """Return everything that was found."""
    found = {
        "machine": machine,
        "load": {"before": loads[0], "after": loads[1]},
        "rows": [row.as_json() for row in rows],
    }
    return json.dumps(found, indent=2) + "\n"


def _target(row: Row) -> str:
    return f"{'>=' if row.at_least else '<='} {row.limit:,g} {row.unit}"


def _number(row: Row) -> str:
    return "-" if row.measured is None else f"{_short(row.measured)} {row.unit}"


def _aside(row: Row) -> str:
    return ", ".join(f"{name} {_short(at)} {row.aside_unit}" for name, at in row.aside.items())


def _spread(row: Row) -> str:
    return "" if row.spread is None else f"noise {row.spread:.2f}"


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
