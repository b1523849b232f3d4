"""docs/TOOLS.md says what was tried, all of it and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from support.tools.installing import INSTALLING
from support.tools.publishing import PUBLISHING

PAGE = Path(__file__).resolve().parents[2] / "docs" / "TOOLS.md"


def tried() -> list[str]:
    """Return what the last column of the tables of the page names."""
    found: list[str] = []
    shown = False
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        shown = cells[-1] == "tried as" or (shown and bool(cells)) if cells else False
        if shown and cells[-1] not in {"tried as", "---"}:
            found += [title.strip() for title in cells[-1].split(",")]
    return found


def test_each_line_names_the_flow_that_holds_it() -> None:
    assert sorted(tried()) == sorted(flow.title for flow in PUBLISHING + INSTALLING)
