"""The clocks that lifetimes are counted by, in one object so that tests can turn them."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol

from tokenward_os import user

if TYPE_CHECKING:

    class Clock(Protocol):
        """The time, as the agent needs it."""

        def wall(self) -> int:
            """Seconds since 1970 UTC; any program with the right to may set it back or forward."""
            ...

        def boot(self) -> int:
            """Seconds since the machine started, sleep included; never set."""
            ...

        def asleep_seconds(self) -> float:
            """Seconds that the machine has slept since it started, or fewer; never decreases."""
            ...

        def boot_id(self) -> str:
            """Name this boot of the machine; "" if the system has no name for it."""
            ...


class SystemClock:
    """The machine's own clocks."""

    def __init__(self) -> None:
        self._boot_id = user.boot_id()  # "" on other systems: then the wall clock decides alone

    def wall(self) -> int:
        """Return seconds since 1970 UTC."""
        return int(time.time())

    def boot(self) -> int:
        """Return seconds since start."""
        return int(_boot_clock_seconds())

    def asleep_seconds(self) -> float:
        """Return seconds spent asleep: the difference between two clocks.

        This process may be stopped for long between the two reads. The clock that stands still
        during sleep is read last, so the difference is then too small, never too large.
        """
        if sys.platform == "win32":
            from tokenward_os.windows import calls

            return calls.asleep_seconds()
        asleep_too = _boot_clock_seconds()
        return max(asleep_too - time.monotonic(), 0.0)

    def boot_id(self) -> str:
        """Return the kernel's name of this boot."""
        return self._boot_id


def _boot_clock_seconds() -> float:
    """Return seconds by the clock that counts sleep.

    That is CLOCK_BOOTTIME on Linux and CLOCK_MONOTONIC on macOS. time.monotonic stands still during
    sleep on both: on macOS it is mach_absolute_time (clock_gettime(3) there).
    """
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":
        return time.clock_gettime(time.CLOCK_MONOTONIC)
    return time.monotonic()
