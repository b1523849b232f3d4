"""What the end-to-end tests stand on: a home of their own and a real index with a password."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.servers.index_server import IndexServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def index() -> Iterator[IndexServer]:
    """A password-protected index on loopback, empty, for `alice` and for `bob`."""
    with IndexServer({"alice": "correct horse battery staple", "bob": "another one"}) as it:
        yield it
