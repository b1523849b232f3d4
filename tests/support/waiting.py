"""Waiting for what another process, thread or system brings about, and says nothing of.

PATIENCE is when to give up on a machine that is busy with other things: it judges no speed.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 60
"""Seconds until something is taken for stuck: the limit of whatever a test waits for."""

PAUSE = 0.005
"""Seconds between two looks."""

T = TypeVar("T")


def until(condition: Callable[[], T], why: Callable[[], str] = str) -> T:
    """Look until `condition` is true, and return what it is then; `why` tells what is wrong if never."""
    give_up = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < give_up, why()
        time.sleep(PAUSE)
    return found


async def until_in_loop(condition: Callable[[], T]) -> T:
    """Do the same in a running loop, which goes on meanwhile."""
    async with asyncio.timeout(PATIENCE):
        while not (found := condition()):  # noqa: ASYNC110 - another process sets no event
            await asyncio.sleep(PAUSE)
    return found
