"""Another process, and waiting for its end."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic

import psutil


class Running:
    """The process with this pid; one that is not visible here counts as ended."""

    def __init__(self, pid: int) -> None:
        self._process: psutil.Process | None = None
        with suppress(psutil.NoSuchProcess):  # it runs in another namespace of process ids
            self._process = psutil.Process(pid)

    def has_ended(self, seconds: float) -> bool:
        """Wait for its end, at most `seconds`. It may stay a zombie: containers may lack an init."""
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
