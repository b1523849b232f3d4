"""Showing that a command is at work: one sentence after a second, and nothing where it was quicker.

The sentence is shown out of a timer's signal, since a thread would make the end of every command
slower (ending.py). Where there is no such signal, it is taken already, or this is not the main
thread, nothing is shown.
"""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS = 1.0


@contextmanager
def after_a_second(tell: Callable[[], None]) -> Iterator[None]:
    """Call `tell` once if the work below takes longer than a second."""
    if sys.platform == "win32" or signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL:
        yield
        return
    try:
        signal.signal(signal.SIGALRM, lambda *_: tell())
    except ValueError:  # not in the main thread
        yield
        return
    try:
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
