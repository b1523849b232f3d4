"""Idle exit: when an agent ends that its service manager starts again on demand.

It ends if no client is connected, none has been for a set time, and it holds nothing that only the
user or an index could restore. Otherwise, or without a set time, it stays.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward_agent.clock import Clock
    from tokenward_agent.wire.server import Server


class IdleExit:
    """Decides when an idle agent ends: after `seconds` without clients, if it is `expendable`."""

    def __init__(
        self, seconds: int | None, server: Server, clock: Clock, expendable: Callable[[], bool]
    ) -> None:
        self._seconds = seconds
        self._server = server
        self._clock = clock
        self._expendable = expendable
        self._came = -1
        self._since = 0

    def is_due(self) -> bool:
        """Tell whether the agent has been idle for long enough."""
        if self._seconds is None:
            return False
        if self._server.has_connections or self._server.came != self._came:
            self._came = self._server.came
            self._since = self._clock.boot()
            return False
        return self._clock.boot() - self._since >= self._seconds and self._expendable()
