"""What holds for every test: shared fixtures, tests of another system, and how property tests run.

A test that is marked with a system asks for what only that system itself has; see README.md.

Property tests have no clock: how long an example takes says something about the machine of the
moment, not about the code, so nothing may fail for it.

This file is loaded on Windows, too: a fixture imports for itself what is not there.
"""

from __future__ import annotations

import ctypes
import os
import signal
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

TESTS = Path(__file__).parent
LONGEST = {
    name: at for at, name in enumerate(["security", "tools", "faults", "load", "end_to_end"])
}
SYSTEMS = {"macos": "darwin", "windows": "win32"}

settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("quick", settings.get_profile("unhurried"), max_examples=25)
settings.load_profile("unhurried")


def is_wine() -> bool:
    """Tell whether this Windows is Wine, which is not asked to keep all of Windows' promises."""
    return sys.platform == "win32" and hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what only root can do, and what not even root can do here."""
    is_root = sys.platform == "linux" and os.geteuid() == 0
    for mark in item.iter_markers("root"):
        (does,) = mark.args
        if not is_root:
            pytest.skip(f"only root on Linux {does}")
        if "able" in mark.kwargs and not mark.kwargs["able"]():
            pytest.skip(f"needs {mark.kwargs['needs']}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked with another system than this, and begin with what takes longest."""
    items.sort(key=lambda item: LONGEST.get(item.path.relative_to(TESTS).parts[0], len(LONGEST)))
    for item in items:
        if item.get_closest_marker("tools"):  # the first one makes the environment of its tool
            item.add_marker(pytest.mark.timeout(900))
    for marker, platform in SYSTEMS.items():
        elsewhere = pytest.mark.skip(reason=f"needs {marker}")
        for item in items if sys.platform != platform or is_wine() else []:
            if item.get_closest_marker(marker):
                item.add_marker(elsewhere)


@pytest.fixture(scope="session", autouse=True)
def descriptors_are_enough() -> None:
    """Take as many descriptors as the system lets this user have: some tests are crowds."""
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = 8192 if hard == resource.RLIM_INFINITY else min(hard, 8192)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


@pytest.fixture(scope="session", autouse=True)
def signals_are_heard() -> None:
    """Let what the tests start hear each signal, whatever the caller of the tests ignores.

    A shell ignores SIGINT for its jobs in the background, and `nohup` SIGHUP. A program would inherit
    that, and a test wait for ever for an end that it asked for. A handler is not inherited.
    """
    by_python = {getattr(signal, name, None) for name in ("SIGPIPE", "SIGXFSZ")}
    for number in signal.valid_signals():
        if signal.getsignal(number) is signal.SIG_IGN and number not in by_python:
            signal.signal(number, lambda *_: None)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_SETMASK, ())


@pytest.fixture
def home() -> Iterator[Home]:
    """A private home; the agent that a test starts in it ends with the test."""
    from support.home import Home

    with Home() as it:
        yield it


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder of the test's own, instead of pytest's, whose path may be too long for a socket in it."""
    with tempfile.TemporaryDirectory(prefix="tw", ignore_cleanup_errors=True) as name:
        yield Path(name).resolve()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    """A real agent below `tmp_path`, in which nothing is stored and no vault is made."""
    from support.agents.process import Agent

    with Agent(tmp_path) as it:
        yield it
