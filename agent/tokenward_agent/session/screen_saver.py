"""Screen savers on the session's own bus, which signal that they are active.

Each desktop has one under its own name, all with the same signal. The signal counts only if the
owner of that name sent it.

Source: the "Idle Inhibition Service" draft of freedesktop.org, and the desktops' own versions.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Final

    from tokenward_agent.policy.locks import LockSettings
    from tokenward_agent.session.bus import Bus

NAMES: Final = (
    "org.freedesktop.ScreenSaver",
    "org.gnome.ScreenSaver",
    "org.cinnamon.ScreenSaver",
    "org.mate.ScreenSaver",
    "org.xfce.ScreenSaver",
)


class ScreenSaver:
    """Watches one bus, and locks if `locks` says so, until that bus fails."""

    def __init__(
        self, bus: Bus, locks: LockSettings, lock: Callable[[str], Awaitable[None]]
    ) -> None:
        self._bus = bus
        self._names = NAMES if locks.screen else ()
        self._lock = lock

    async def watch(self) -> None:
        """Watch for ever. Raises BusError."""
        for name in self._names:
            await self._bus.subscribe(sender=name, interface=name, member="ActiveChanged")
            await self._bus.follow_owner(name)
        while True:
            message = await self._bus.next_signal()
            name, _, member = message.name.rpartition(".")
            active = member == "ActiveChanged" and message.body == (True,)
            if active and name in self._names and self._bus.is_from_owner(message, name):
                await self._lock("screen")
