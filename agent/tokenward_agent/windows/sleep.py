"""How long this machine has slept: the difference between two clocks; only one counts sleep."""

from __future__ import annotations

import sys

assert sys.platform == "win32"

import ctypes

from tokenward_os.windows import calls


def asleep_seconds() -> float:
    """Return seconds spent asleep since the machine started, or fewer."""
    asleep_too, awake = float(calls.tick_count()) / 1000, ctypes.c_uint64()
    if not calls.unbiased_time(awake):  # read last: this process may be stopped in between
        return 0.0
    return max(asleep_too - awake.value / 10_000_000, 0.0)
