"""Fuzzing for a few seconds, so that the targets stay true; ./scripts/fuzz does it for longer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.fuzz_targets import TARGETS, seeds

FUZZ = Path(__file__).parent / "fuzz.py"
SECONDS = 10


@pytest.mark.parametrize("target", TARGETS)
def test_what_was_found_before_holds(target: str) -> None:
    found = seeds(target)
    assert len(found) > 10
    for seed in found:
        TARGETS[target](seed)


@pytest.mark.parametrize("target", TARGETS)
def test_a_few_seconds_of_fuzzing_find_nothing(target: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, FUZZ, target, str(SECONDS), tmp_path],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS * 10,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert list((tmp_path / "found").iterdir()) == []
