"""When an agent ends that nobody needs: one that its service manager starts again for whoever asks.

Nobody is connected, nobody has been for so long, and nothing is held that only a person or an index
could bring back. Where any of that is not so, or no length of time is set, it stays.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward_agent.clock import Clock
    from tokenward_agent.wire.server import Server


class Quiet:
    """Looks, now and then, at an agent that may end after `seconds` if it is `expendable`."""

    def __init__(
        self, seconds: int | None, server: Server, clock: Clock, expendable: Callable[[], bool]
    ) -> None:
        self._seconds = seconds
        self._server = server
        self._clock = clock
        self._expendable = expendable
        self._came = -1
        self._since = 0

    def enough(self) -> bool:
        """Tell whether it has been quiet for long enough."""
        if self._seconds is None:
            return False
        if self._server.occupied or self._server.came != self._came:
            self._came = self._server.came
            self._since = self._clock.boot()
            return False
        return self._clock.boot() - self._since >= self._seconds and self._expendable()
