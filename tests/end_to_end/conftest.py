"""What the end-to-end tests stand on: a home of their own and a real index with a password."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.home import Home
from support.servers.index_server import IndexServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def home() -> Iterator[Home]:
    """A private home; the agent that a test starts in it ends with the test."""
    with Home() as it:
        yield it


@pytest.fixture
def index() -> Iterator[IndexServer]:
    """A password-protected index on loopback, empty, for `alice` and for `bob`."""
    with IndexServer({"alice": "correct horse battery staple", "bob": "another one"}) as it:
        yield it
