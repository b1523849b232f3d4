"""The tour shows what really happens: it is taken again, and told alike."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from support import TESTS, tour

pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(sys.platform != "linux", reason="who asks is read in /proc"),
    pytest.mark.skipif(not tour.PINENTRY.exists(), reason="needs Debian's pinentry-tty"),
]


def test_the_tour_is_what_happens_when_it_is_taken() -> None:
    # In a process of its own: the page names the program in which the terminal is.
    taken = subprocess.run(
        [sys.executable, tour.__file__, "--print"],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert taken.returncode == 0, taken.stderr
    assert tour.likened(taken.stdout) == tour.likened(tour.PAGE.read_text())
