"""Python 3.14 and newer run code that another process gives them (PEP 768): what the tests ask of it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

needs_remote_exec = pytest.mark.skipif(
    not hasattr(sys, "remote_exec"), reason="Python before 3.14 runs no code of other processes"
)


def is_deaf(python: Sequence[str]) -> bool:
    """Tell whether an interpreter that is started like this, up to its program, refuses such code."""
    ask = "import sys; print(sys.is_remote_debug_enabled())"
    return subprocess.check_output([*python, "-c", ask], text=True) == "False\n"
