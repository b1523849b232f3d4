"""docs/THREATS.md names a test for each promise, and each of them is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
PROMISES = (ROOT / "docs" / "THREATS.md").read_text().partition("\n## What is promised\n")[2]
NAMED = re.compile(r"`([a-z_/]+\.py)::(test_\w+)`")


def functions(path: Path) -> set[str]:
    """Return the names of the tests in a file."""
    found = ast.walk(ast.parse(path.read_text("utf-8")))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in found if isinstance(node, functions)}


def test_every_promise_names_its_test() -> None:
    rows = [line for line in PROMISES.splitlines() if line.startswith("| ")]
    promises = [row for row in rows if not row.startswith(("| promise ", "| --- "))]
    assert len(promises) > 20
    assert [row for row in promises if not NAMED.search(row.split("|")[2])] == []


def test_every_test_that_is_named_is_there() -> None:
    named = NAMED.findall(PROMISES)
    there = {file: functions(TESTS / file) for file, _ in named}
    assert [f"{file}::{name}" for file, name in named if name not in there[file]] == []


def test_readme_and_security_lead_to_it() -> None:
    assert "(docs/THREATS.md)" in (ROOT / "README.md").read_text()
    assert "(docs/THREATS.md)" in (ROOT / "SECURITY.md").read_text()
