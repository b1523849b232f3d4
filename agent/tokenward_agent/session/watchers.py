"""What the buses report: sleep, locked screens and the end of the user's last session.

- **Sleep.** The agent holds a delay inhibitor of logind while the machine is awake, so that it does
  not sleep before the keys are destroyed; it releases the inhibitor then, and takes a new one after
  waking.
- **A locked screen.** Of any session of this user: requested (`loginctl lock-session`), reported to
  logind by the screen locker (`LockedHint`), or signalled by a screen saver on the session's own bus.
  Each desktop has one under its own name, all with the same signal.
- **Log-out.** The user had a session and has none now. logind's own state of the user decides: it
  ignores sessions that are not the user's own logins, and knows sessions that only wait for a
  remaining process, such as an agent.

Only messages from the owner of a name count. If logind refuses a call, the agent notices less.

Sources: org.freedesktop.login1(5); systemd's "Inhibitor Locks"; the "Idle Inhibition Service" draft
of freedesktop.org, and the desktops' own versions.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Final

from tokenward_agent.session.bus import BusError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tokenward_agent.policy.rule import LockSettings
    from tokenward_agent.session.bus import Bus
    from tokenward_agent.session.dbus_frames import BusMessage

NAME: Final = "org.freedesktop.login1"
PATH: Final = "/org/freedesktop/login1"
MANAGER: Final = f"{NAME}.Manager"
SESSION: Final = f"{NAME}.Session"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"

_NO_SUCH_USER: Final = f"{NAME}.NoSuchUser"

LOGGED_IN: Final = frozenset({"opening", "active", "online"})
"""States of a user with a session that is not about to end."""

LOOK_SECONDS: Final = 60
"""Interval between checks of the user's state: a session may end without a signal."""


SCREEN_SAVERS: Final = (
    "org.freedesktop.ScreenSaver",
    "org.gnome.ScreenSaver",
    "org.cinnamon.ScreenSaver",
    "org.mate.ScreenSaver",
    "org.xfce.ScreenSaver",
)


class Logind:
    """Watches one bus, and locks at the events in `locks`, until that bus fails.

    `lock` gets the reason and returns when the keys are destroyed; `woke` is called after a sleep.
    """

    def __init__(
        self,
        bus: Bus,
        uid: int,
        locks: LockSettings,
        lock: Callable[[str], Awaitable[None]],
        woke: Callable[[], None],
    ) -> None:
        self._bus, self._uid, self._locks, self._lock = bus, uid, locks, lock
        self._woke = woke
        self._inhibitor: int | None = None
        self._logged_in = False

    async def watch(self) -> None:
        """Watch for ever. Raises BusError."""
        loop = asyncio.get_running_loop()
        bus = self._bus
        try:
            await bus.subscribe(sender=NAME, path=PATH, interface=MANAGER)
            if self._locks.screen:
                await bus.subscribe(sender=NAME, interface=SESSION, member="Lock")
                await bus.subscribe(
                    sender=NAME, interface=PROPERTIES, member="PropertiesChanged", arg0=SESSION
                )
            if await bus.follow_owner(NAME):
                await self._on_logind_started()
            look = loop.time() + LOOK_SECONDS
            while True:
                try:
                    async with asyncio.timeout_at(look):
                        message = await bus.next_signal()
                except TimeoutError:
                    look = loop.time() + LOOK_SECONDS
                    await self._check_sessions()
                else:
                    await self._on_signal(message)
        finally:
            self._release_inhibitor()

    async def _on_signal(self, message: BusMessage) -> None:
        if self._bus.is_owner_change(message, NAME):
            self._release_inhibitor()
            if self._bus.owners[NAME]:
                await self._on_logind_started()
        elif self._bus.is_from_owner(message, NAME):
            await self._on_logind_signal(message)

    async def _on_logind_signal(self, message: BusMessage) -> None:
        interface, _, member = message.name.rpartition(".")
        match member, message.body:
            case "PrepareForSleep", [True] if interface == MANAGER:
                await self._on_sleep()
            case "PrepareForSleep", [False] if interface == MANAGER:
                self._woke()
                await self._inhibit()
            case (("SessionNew" | "SessionRemoved" | "UserRemoved"), _) if interface == MANAGER:
                await self._check_sessions()
            case "Lock", [] if interface == SESSION:
                await self._check_screen(message.path)
            case "PropertiesChanged", [of, {"LockedHint": [_, True]}, _] if of == SESSION:
                await self._check_screen(message.path)

    async def _on_logind_started(self) -> None:
        """Begin with a logind that is present, or present again."""
        await self._check_sessions()
        await self._inhibit()

    async def _on_sleep(self) -> None:
        try:
            if self._locks.sleep:
                await self._lock("sleep")
        finally:
            self._release_inhibitor()

    async def _inhibit(self) -> None:
        """Delay the sleep of the machine for us, for as long as logind allows."""
        self._release_inhibitor()
        if self._locks.sleep:
            with _tolerating_refusal():
                self._inhibitor = await self._bus.call_for_descriptor(
                    self._bus.owners[NAME],
                    PATH,
                    f"{MANAGER}.Inhibit",
                    "ssss",
                    *("sleep", "tokenward", "Keys of credentials are destroyed first.", "delay"),
                )

    def _release_inhibitor(self) -> None:
        if self._inhibitor is not None:
            os.close(self._inhibitor)
            self._inhibitor = None

    async def _check_screen(self, path: str) -> None:
        with _tolerating_refusal():
            user = await self._read_property(path, SESSION, "User")
            if self._locks.screen and isinstance(user, tuple) and user[:1] == (self._uid,):
                await self._lock("screen")

    async def _check_sessions(self) -> None:
        """Check whether the user is still logged in; an unknown state changes nothing."""
        owner = self._bus.owners[NAME]
        if not owner:
            return
        with _tolerating_refusal():
            try:
                answer = await self._bus.call(owner, PATH, f"{MANAGER}.GetUser", "u", self._uid)
            except BusError as error:
                if error.refused != _NO_SUCH_USER:
                    raise
                state: object = "gone"
            else:
                state = await self._read_property("".join(answer[:1]), f"{NAME}.User", "State")
            if isinstance(state, str):
                before, self._logged_in = self._logged_in, state in LOGGED_IN
                if before and not self._logged_in and self._locks.logout:
                    await self._lock("logout")

    async def _read_property(self, path: str, interface: str, name: str) -> object:
        answer = await self._bus.call(
            self._bus.owners[NAME], path, f"{PROPERTIES}.Get", "ss", interface, name
        )
        match answer:
            case [[str(), value]]:
                return value
        return None


@contextlib.contextmanager
def _tolerating_refusal() -> Iterator[None]:
    """Continue after a service's refusal. Raises BusError if the bus itself fails."""
    try:
        yield
    except BusError as error:
        if not error.refused:
            raise


async def watch_screen_savers(
    bus: Bus, locks: LockSettings, lock: Callable[[str], Awaitable[None]]
) -> None:
    """Watch one bus, and lock if `locks` says so, until that bus fails. Raises BusError."""
    names = SCREEN_SAVERS if locks.screen else ()
    for name in names:
        await bus.subscribe(sender=name, interface=name, member="ActiveChanged")
        await bus.follow_owner(name)
    while True:
        message = await bus.next_signal()
        name, _, member = message.name.rpartition(".")
        active = member == "ActiveChanged" and message.body == (True,)
        if active and name in names and bus.is_from_owner(message, name):
            await lock("screen")
