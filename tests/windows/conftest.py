"""Tests of what is Windows' own. They run on Windows, and under Wine by `./scripts/test-windows`.

Wine does not enforce three things that Windows does: that a pipe is made by one process alone, who
may open it, and how far a server may act as its client. They are asserted here as what is asked of
the system, and tried on Windows itself (the marker `windows`).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if sys.platform != "win32":
    collect_ignore_glob = ["test_*"]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.systems.windows_user import User


@pytest.fixture(scope="module")
def new_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], User]]:
    """Make users, each with an agent of their own, which has ended when the module has."""
    from support.systems.windows_user import User

    made: list[User] = []

    def make() -> User:
        made.append(User(tmp_path_factory.mktemp("user")))
        return made[-1]

    yield make
    for user in made:
        user.auth("agent", "stop")


@pytest.fixture(scope="module")
def user(new_user: Callable[[], User]) -> User:
    """One user, whose agent is started by the first command of the module."""
    return new_user()
