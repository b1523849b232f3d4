"""Tools that are no Python packages, which a machine has or has not: found in a home of a test."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.home import Home


def give(home: Home, tool: str, *beside: str) -> None:
    """Let a home find `tool`, and what it needs `beside` it; skip the test where it is not here."""
    for name in (tool, *beside):
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"{name} is not on this machine")
        home.environment["PATH"] += f":{Path(found).parent}"


def give_cargo(home: Home) -> None:
    """Let a home find cargo, which may be rustup's and then looks for its toolchains."""
    give(home, "cargo")
    toolchains = os.environ.get("RUSTUP_HOME") or str(Path.home() / ".rustup")
    home.environment["RUSTUP_HOME"] = toolchains
    version = home.run("cargo", "--version").stdout.split()[1:2]
    if not version or tuple(map(int, version[0].split(".")[:2])) < (1, 74):
        pytest.skip("credential providers need cargo 1.74 or newer")
