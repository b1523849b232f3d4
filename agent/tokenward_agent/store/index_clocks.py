"""The clocks of indexes, as far as somebody saw them: a child ends by its index's clock, not by ours.

An index takes a token by what its own clock says. Where ours is an hour late, a child for an hour is
dead when it is born; where ours is early, it lives longer than anybody asked for. A command that
speaks to an index anyway sees what time it is there, and tells.

What was seen is kept in memory alone, and is void once the clock here has been set: whoever does that
means to have it right. A jump shows against the clock that counts from the machine's start. What was
seen late or through a slow line errs to the side of children that end too early.
"""

from __future__ import annotations

from typing import NamedTuple

from tokenward_agent.failure import Failure
from tokenward_agent.store.stored_origins import origin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from tokenward_agent.clock import Clock

FARTHEST: Final = 86400
"""Seconds by which two clocks may differ: all time zones taken for each other, and no more."""

MOST: Final = 64
"""Indexes whose clocks are known at a time."""

_UNSET: Final = 1
"""Seconds by which two clocks in whole seconds seem to move that go at the same pace."""


class _Seen(NamedTuple):
    ahead: int
    since_start: int  # what the wall clock here was ahead of the machine's start


class IndexClocks:
    """The clocks of the indexes that one agent makes children for; `clock` is ours."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, _Seen] = {}

    def saw(self, service: str, now: int) -> int:
        """Keep that the clock of a service's index says *now*, in seconds since 1970.

        Return by how much that is ahead of ours; nothing is kept of 0. Raises Failure.
        """
        ahead = now - self._clock.wall()
        if abs(ahead) > FARTHEST:
            raise Failure("bad-request", "The clock of an index differs by a day at most.")
        index = origin(service)
        self._seen.pop(index, None)
        if ahead:
            self._seen[index] = _Seen(ahead, self._since_start())
            if len(self._seen) > MOST:
                del self._seen[next(iter(self._seen))]
        return ahead

    def ahead(self, service: str) -> int:
        """Return the seconds by which a service's index is ahead, 0 where that is not known."""
        index = origin(service)
        seen = self._seen.get(index)
        if seen is None:
            return 0
        moved = self._since_start() - seen.since_start
        if abs(moved) > _UNSET:
            del self._seen[index]
            return 0
        return seen.ahead - max(moved, 0)

    def _since_start(self) -> int:
        return self._clock.wall() - self._clock.boot()
