"""Fixtures for tests of the relay."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from support.coroutines import pytest_pyfunc_call  # noqa: F401 - a hook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.home import Home
    from support.runs import Publisher


@pytest.fixture
def publisher(home: Home) -> Iterator[Publisher]:
    """A user with a credential for an https index, whose runs have a relay."""
    if sys.platform != "linux":
        pytest.skip("relays exist on Linux alone")
    from support.runs import Index, Publisher

    with Publisher(home, Index()) as it:
        yield it
