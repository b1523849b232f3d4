"""A home of its own for the tests that go through the real `auth`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.home import Home

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def home() -> Iterator[Home]:
    """A private home; the agent that a test starts in it ends with the test."""
    with Home() as it:
        yield it
