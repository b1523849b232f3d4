"""keyring's own suite over the one file that tools load, in the lowest and the highest Python here.

The tools have any Python from 3.9 on; the agent and what the file calls have the one of this run.
"""

from __future__ import annotations

import shutil
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.tools.environments import programs
from tokenward.keyring_program.standalone import MODULE, module

if TYPE_CHECKING:
    from support.home import Home

pytestmark = pytest.mark.tools

LOWEST, HIGHEST = 9, 20  # of Python 3
SUITE = f"""
import keyring
from keyring.testing.backend import BackendBasicTests
from {MODULE} import Keyring

class TestTheOneFile(BackendBasicTests):
    def init_keyring(self):
        return Keyring()
"""


@cache
def interpreters() -> dict[int, str]:
    """Every Python 3 here by its minor version: on PATH, or beside the one of this run."""
    found: dict[int, str] = {}
    for minor in range(LOWEST, HIGHEST):
        name = f"python3.{minor}"
        beside = Path(sys.base_prefix).parent.glob(f"3.{minor}.*/bin/{name}")
        paths = [*map(str, beside), shutil.which(name, path="/usr/local/bin:/usr/bin")]
        if path := next(filter(None, paths), None):
            found[minor] = path
    found.setdefault(sys.version_info.minor, sys.executable)
    return found


@pytest.mark.parametrize("minor", [min(interpreters()), max(interpreters())])
def test_the_one_file_passes_keyrings_suite(minor: int, home: Home) -> None:
    python = interpreters()[minor]
    (home.path / "keyring").mkdir(mode=0o700)
    (home.path / "keyring" / f"{MODULE}.py").write_text(module(sys.executable))
    (home.path / "test_suite.py").write_text(SUITE)
    program = str(programs("keyring-suite", python) / "python")
    run = [program, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_suite.py"]
    done = home.run(*run, PYTHONPATH=str(home.path / "keyring"))
    assert done.returncode == 0, done.stdout
    assert "15 passed" in done.stdout
