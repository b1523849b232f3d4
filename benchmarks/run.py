"""Measures tokenward's speed and size on this machine, and prints each figure beside its target.

README.md says how the figures are taken. Only public commands and the wire are used, every process
is started here and ended here, and nothing of the user's own is touched.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(1, str(ROOT / "tests"))

import asking  # noqa: E402 (as all of these, it needs what the line above finds)
import commands  # noqa: E402 (it needs what the line above finds, as all of these do)
import execs  # noqa: E402
import fetches  # noqa: E402
import lookups  # noqa: E402
import machine  # noqa: E402
import made  # noqa: E402
import many  # noqa: E402
import plugins  # noqa: E402
import relays  # noqa: E402
import report  # noqa: E402
import starts  # noqa: E402

if TYPE_CHECKING:
    from figures import Row

GROUPS = {
    "commands": commands.rows,
    "others": commands.other_rows,
    "lookups": lookups.rows,
    "execs": execs.rows,
    "starts": starts.rows,
    "fetches": fetches.rows,
    "asking": asking.rows,
    "made": made.rows,
    "many": many.rows,
    "memory": many.memory_rows,
    "plugins": plugins.rows,
    "relays": relays.rows,
}


def main() -> int:
    """Run what was asked for. Returns 1 if a target was missed, 0 otherwise."""
    options = _options()
    told = machine.described()
    before = machine.load()
    for name, value in told.items():
        print(f"{name:<10} {value}")
    rows: list[Row] = []
    for name in options.only or GROUPS:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        rows += GROUPS[name]()
    loads = (before, machine.load())
    print(f"{'load':<10} {loads[0]:.1f} before, {loads[1]:.1f} after\n")
    print(report.table(rows))
    if options.json:
        options.json.write_text(report.as_json(told, loads, rows))
    return int(any(row.met is False for row in rows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Measure speed and size; takes about a minute."
    )
    parser.add_argument(
        "--only", action="append", choices=GROUPS, help="measure these alone; may be repeated"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there, too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
