"""The clocks of indexes, as commands saw them: a derived token expires by its index's clock.

An index accepts a token by its own clock. If the local clock is an hour late, a token derived for
an hour has expired at once; if it is early, the token lives longer than requested. A command that
talks to an index reports the time there.

The differences are kept in memory only, and forgotten when the local clock was set, since that was
probably to correct it. The boot clock shows such a jump. A report that was late or slow errs to
derived tokens that end too early.
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
"""Most seconds by which two clocks may differ: any mix-up of time zones, but not more."""

MOST: Final = 64
"""Indexes whose clocks are known at a time."""

_UNSET: Final = 1
"""Seconds by which two clocks of whole seconds may seem to drift apart."""


class _Offset(NamedTuple):
    ahead: int
    since_start: int  # the local wall clock minus the boot clock


class IndexClocks:
    """The clocks of the indexes for which one agent derives tokens; `clock` is the local one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, _Offset] = {}

    def record(self, service: str, now: int) -> int:
        """Note that the clock of a service's index shows *now*, in seconds since 1970.

        Return the seconds by which it is ahead of the local clock; 0 is not kept. Raise Failure.
        """
        ahead = now - self._clock.wall()
        if abs(ahead) > FARTHEST:
            raise Failure("bad-request", "The clock of an index may differ by at most a day.")
        index = origin(service)
        self._seen.pop(index, None)
        if ahead:
            self._seen[index] = _Offset(ahead, self._since_start())
            if len(self._seen) > MOST:
                del self._seen[next(iter(self._seen))]
        return ahead

    def ahead(self, service: str) -> int:
        """Return the seconds by which a service's index is ahead, 0 if unknown."""
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
