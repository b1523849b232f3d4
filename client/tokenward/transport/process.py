"""A process that is not ours, and its end."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic

import psutil


class Running:
    """The process of a number; one that is not seen from here counts as ended."""

    def __init__(self, pid: int) -> None:
        self._process: psutil.Process | None = None
        with suppress(psutil.NoSuchProcess):  # it runs where we see no processes of its kind
            self._process = psutil.Process(pid)

    def has_ended(self, seconds: float) -> bool:
        """Wait for its end, so long. It may never be reaped: in a container, init may not."""
        if self._process is None:
            return True
        deadline = monotonic() + seconds
        while monotonic() < deadline:
            with suppress(psutil.TimeoutExpired):
                self._process.wait(0.02)
                return True
            with suppress(psutil.NoSuchProcess):
                if self._process.status() != psutil.STATUS_ZOMBIE:
                    continue
            return True
        return False
