"""Each tour shows what really happens: it is taken again, and told alike."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support import TESTS, picture, relay_tour, tour

if TYPE_CHECKING:
    from types import ModuleType

pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(sys.platform != "linux", reason="who asks is read in /proc"),
    pytest.mark.skipif(not tour.PINENTRY.exists(), reason="needs Debian's pinentry-tty"),
]


@pytest.mark.parametrize("story", [tour, relay_tour, picture], ids=lambda story: story.__name__)
def test_a_tour_is_what_happens_when_it_is_taken(story: ModuleType) -> None:
    # In a process of its own: the page names the program in which the terminal is.
    taken = subprocess.run(
        [sys.executable, str(story.__file__), "--print"],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert taken.returncode == 0, taken.stderr
    kept = "".join(page.read_text() for page in story.PAGES)
    assert story.likened(taken.stdout) == story.likened(kept)
