"""The clocks that lifetimes are counted by, in one object so that tests can turn them."""

from __future__ import annotations

import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Clock(Protocol):
        """What the agent asks about time."""

        def wall(self) -> int:
            """Seconds since 1970 UTC; may be set back and forth by anybody."""
            ...

        def boot(self) -> int:
            """Seconds since the machine started, sleep included; never set."""
            ...

        def boot_id(self) -> str:
            """Name this boot of the machine; "" where the system gives no name."""
            ...


class SystemClock:
    """The machine's own clocks."""

    def __init__(self) -> None:
        self._boot_id = _boot_id()

    def wall(self) -> int:
        """Return seconds since 1970 UTC."""
        return int(time.time())

    def boot(self) -> int:
        """Return seconds since start; CLOCK_MONOTONIC stops in sleep on Linux, not on macOS."""
        clock = getattr(time, "CLOCK_BOOTTIME", None)
        return int(time.monotonic() if clock is None else time.clock_gettime(clock))

    def boot_id(self) -> str:
        """Return the kernel's name of this boot."""
        return self._boot_id


def _boot_id() -> str:
    if sys.platform != "linux":
        return ""  # then the wall clock decides alone
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
