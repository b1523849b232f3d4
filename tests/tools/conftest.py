"""What the tests with real tools stand on: one index of each kind for a run, a stage for each test."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from support.home import Home
from support.servers.devpi_server import DevpiServer
from support.servers.index_server import IndexServer
from support.servers.recording_proxy import RecordingProxy
from support.systems.real_names import RealNames
from support.tools.stage import Stage
from support.tools.tool_home import ALICE, SECRET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from support.tools.stage import Index

    Stages = Callable[[str], AbstractContextManager[Stage]]


@pytest.fixture(scope="session")
def pypiserver() -> Iterator[IndexServer]:
    """A password-protected index on loopback for all tests of the run, one after the other."""
    with IndexServer({ALICE: SECRET}) as it:
        yield it


@pytest.fixture(scope="session")
def devpi() -> Iterator[DevpiServer]:
    """A devpi-server, likewise."""
    with DevpiServer(ALICE, SECRET) as it:
        yield it


@pytest.fixture(scope="module")
def names() -> Iterator[RealNames]:
    """A machine in which the names of the real indexes lead to a server of our own."""
    with RealNames() as it:
        yield it


@pytest.fixture(scope="session")
def stages(request: pytest.FixtureRequest) -> Stages:
    """Make stages: each a home of its own before an empty index, at a port of its own."""

    @contextmanager
    def stage(kind: str) -> Iterator[Stage]:
        server: Index = request.getfixturevalue(kind)
        with Home() as home, RecordingProxy(server.connect) as front:
            yield Stage(home, server, front)

    return stage


@pytest.fixture
def stage(stages: Stages) -> Iterator[Stage]:
    """The stage of one test, before pypiserver, with nothing set up."""
    with stages("pypiserver") as it:
        yield it
