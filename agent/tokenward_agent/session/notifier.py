"""Notifying the user on the desktop that the vaults wait for a passphrase.

By org.freedesktop.Notifications on the session's own bus, once a minute at most, and only where such a
service runs: none is started for it. A notification may be shown on a locked screen, so it names no
service, no program and no account. A bus that does not answer is no error: the notification is lost.

https://specifications.freedesktop.org/notification-spec/latest/
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Final

from tokenward_agent.session.bus_watches import is_socket, session_bus_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAME: Final = "org.freedesktop.Notifications"
PATH: Final = "/org/freedesktop/Notifications"
LEAST_SECONDS: Final = 60
"""Seconds from one notification to the next."""

LOCKED: Final = "The vault is locked now. Run auth unlock to let your tools use it again."
WITHHELD: Final = (
    "A tool got no credential, since the vault is locked. Run auth unlock, then try again."
)

_THE_BUS: Final = ("org.freedesktop.DBus", "/org/freedesktop/DBus")
_SIGNATURE: Final = "susssasa{sv}i"


def _arguments(text: str) -> tuple[object, ...]:
    """Return the program, what is replaced, icon, summary, text, actions, hints, milliseconds."""
    return "tokenward", 0, "dialog-password", "tokenward", text, [], {}, -1  # as long as is usual


class Notifier:
    """Notifies the user at the session bus that `environ` names; used inside of the loop.

    `now` returns seconds by a clock that is never set.
    """

    def __init__(self, environ: Mapping[str, str], now: Callable[[], float]) -> None:
        self._paths = session_bus_paths(environ)
        self._now = now
        self._next = 0.0
        self._task: asyncio.Task[None] | None = None

    def notify(self, text: str) -> None:
        """Show a text soon, unless one was shown within the last minute."""
        now = self._now()
        if sys.platform != "linux" or now < self._next or not any(map(is_socket, self._paths)):
            return
        self._next = now + LEAST_SECONDS
        self._task = asyncio.get_running_loop().create_task(self._send(text))

    def close(self) -> None:
        """Drop a notification that is on its way."""
        if self._task is not None:
            self._task.cancel()

    async def _send(self, text: str) -> None:
        from tokenward_agent.session.bus import Bus, BusError

        for path in filter(is_socket, self._paths):
            bus = Bus()
            try:
                await bus.connect(path)
                (is_there,) = await bus.call(*_THE_BUS, f"{_THE_BUS[0]}.NameHasOwner", "s", NAME)
                if is_there:
                    await bus.call(NAME, PATH, f"{NAME}.Notify", _SIGNATURE, *_arguments(text))
                    return
            except (BusError, ValueError):
                continue
            finally:
                bus.close()
