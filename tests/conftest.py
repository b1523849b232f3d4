"""What holds for every test: what another system's own tests are, and how property tests are run.

A test that is marked with a system asks for what only that system itself has; see README.md.

Property tests have no clock: how long an example takes says something about the machine of the
moment, not about the code, so nothing may fail for it.
"""

from __future__ import annotations

import ctypes
import sys

import pytest
from hypothesis import HealthCheck, settings

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
