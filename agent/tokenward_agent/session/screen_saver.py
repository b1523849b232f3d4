"""What screen savers tell on the session's own bus: that they are active now.

Each desktop has one under a name of its own, all with the same signal. It is believed from the owner
of the name that it is sent under, and from nobody else.

Source: the "Idle Inhibition Service" draft of freedesktop.org, and what the desktops made of it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Final

    from tokenward_agent.policy.locks import Locks
    from tokenward_agent.session.bus import Bus

NAMES: Final = (
    "org.freedesktop.ScreenSaver",
    "org.gnome.ScreenSaver",
    "org.cinnamon.ScreenSaver",
    "org.mate.ScreenSaver",
    "org.xfce.ScreenSaver",
)


class ScreenSaver:
    """Watches over one bus, and locks if `locks` says so, until that bus fails."""

    def __init__(self, bus: Bus, locks: Locks, lock: Callable[[str], Awaitable[None]]) -> None:
        self._bus = bus
        self._names = NAMES if locks.screen else ()
        self._lock = lock

    async def watch(self) -> None:
        """Watch, and never return. Raises BusError."""
        for name in self._names:
            await self._bus.want(sender=name, interface=name, member="ActiveChanged")
            await self._bus.follow(name)
        while True:
            message = await self._bus.hear()
            name, _, member = message.name.rpartition(".")
            active = member == "ActiveChanged" and message.body == (True,)
            if active and name in self._names and self._bus.from_owner(message, name):
                await self._lock("screen")
