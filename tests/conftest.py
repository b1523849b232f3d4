"""What holds for every test: shared fixtures, tests of another system, and how property tests run.

A test that is marked with a system asks for what only that system itself has; see README.md.

Property tests have no clock: how long an example takes says something about the machine of the
moment, not about the code, so nothing may fail for it.

This file is loaded on Windows, too: a fixture imports for itself what is not there.
"""

from __future__ import annotations

import ctypes
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.agents.process import Agent
    from support.home import Home

SYSTEMS = {"macos": "darwin", "windows": "win32"}

settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("unhurried")


def is_wine() -> bool:
    """Tell whether this Windows is Wine, which is not asked to keep all of Windows' promises."""
    return sys.platform == "win32" and hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked with another system than this."""
    for marker, platform in SYSTEMS.items():
        elsewhere = pytest.mark.skip(reason=f"needs {marker}")
        for item in items if sys.platform != platform or is_wine() else []:
            if item.get_closest_marker(marker):
                item.add_marker(elsewhere)


@pytest.fixture
def home() -> Iterator[Home]:
    """A private home; the agent that a test starts in it ends with the test."""
    from support.home import Home

    with Home() as it:
        yield it


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket in it, which that of `tmp_path` may not be."""
    with tempfile.TemporaryDirectory(prefix="tw") as name:
        yield Path(name)


@pytest.fixture
def agent(short_folder: Path) -> Iterator[Agent]:
    """A real agent below `short_folder`, in which nothing is stored and no vault is made."""
    from support.agents.process import Agent

    with Agent(short_folder) as it:
        yield it
