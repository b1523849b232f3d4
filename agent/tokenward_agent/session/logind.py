"""What logind reports: sleep, locked screens and the end of the user's last session.

- **Sleep.** The agent holds a delay inhibitor while the machine is awake, so that it does not sleep
  before the keys are destroyed; it releases the inhibitor then, and takes a new one after waking.
- **A locked screen.** Of any session of this user: requested (`loginctl lock-session`) or reported
  by the screen locker (`LockedHint`).
- **Log-out.** The user had a session and has none now. logind's own state of the user decides: it
  ignores sessions that are not the user's own logins, and knows sessions that only wait for a
  remaining process, such as an agent.

Only messages from the owner of logind's name count. If logind refuses a call, the agent notices
less.

Source: org.freedesktop.login1(5), systemd's "Inhibitor Locks".
"""

from __future__ import annotations

import asyncio
import contextlib
import os

from tokenward_agent.session.bus import BusError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from typing import Final

    from tokenward_agent.policy.locks import Locks
    from tokenward_agent.session.bus import Bus
    from tokenward_agent.session.frames import Heard

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


class Logind:
    """Watches one bus, and locks at the events in `locks`, until that bus fails.

    `lock` gets the reason and returns when the keys are destroyed; `woke` is called after a sleep.
    """

    def __init__(
        self,
        bus: Bus,
        uid: int,
        locks: Locks,
        lock: Callable[[str], Awaitable[None]],
        woke: Callable[[], None],
    ) -> None:
        self._bus = bus
        self._uid = uid
        self._locks = locks
        self._lock = lock
        self._woke = woke
        self._inhibitor: int | None = None
        self._logged_in = False

    async def watch(self) -> None:
        """Watch for ever. Raises BusError."""
        loop = asyncio.get_running_loop()
        bus = self._bus
        try:
            await bus.want(sender=NAME, path=PATH, interface=MANAGER)
            if self._locks.screen:
                await bus.want(sender=NAME, interface=SESSION, member="Lock")
                await bus.want(
                    sender=NAME, interface=PROPERTIES, member="PropertiesChanged", arg0=SESSION
                )
            if await bus.follow(NAME):
                await self._arrived()
            look = loop.time() + LOOK_SECONDS
            while True:
                try:
                    async with asyncio.timeout_at(look):
                        message = await bus.hear()
                except TimeoutError:
                    look = loop.time() + LOOK_SECONDS
                    await self._look()
                else:
                    await self._heard(message)
        finally:
            self._let_go()

    async def _heard(self, message: Heard) -> None:
        if self._bus.owner_changed(message, NAME):
            self._let_go()
            if self._bus.owners[NAME]:
                await self._arrived()
        elif self._bus.from_owner(message, NAME):
            await self._said(message)

    async def _said(self, message: Heard) -> None:
        interface, _, member = message.name.rpartition(".")
        match member, message.body:
            case "PrepareForSleep", [True] if interface == MANAGER:
                await self._sleeps()
            case "PrepareForSleep", [False] if interface == MANAGER:
                self._woke()
                await self._inhibit()
            case (("SessionNew" | "SessionRemoved" | "UserRemoved"), _) if interface == MANAGER:
                await self._look()
            case "Lock", [] if interface == SESSION:
                await self._screen_locked(message.path)
            case "PropertiesChanged", [of, {"LockedHint": [_, True]}, _] if of == SESSION:
                await self._screen_locked(message.path)

    async def _arrived(self) -> None:
        """Begin with a logind that is present, or present again."""
        await self._look()
        await self._inhibit()

    async def _sleeps(self) -> None:
        try:
            if self._locks.sleep:
                await self._lock("sleep")
        finally:
            self._let_go()

    async def _inhibit(self) -> None:
        """Delay the sleep of the machine for us, for as long as logind allows."""
        self._let_go()
        if self._locks.sleep:
            with _refusing():
                self._inhibitor = await self._bus.ask_for_descriptor(
                    self._bus.owners[NAME],
                    PATH,
                    f"{MANAGER}.Inhibit",
                    "ssss",
                    *("sleep", "tokenward", "Keys of credentials are destroyed first.", "delay"),
                )

    def _let_go(self) -> None:
        if self._inhibitor is not None:
            os.close(self._inhibitor)
            self._inhibitor = None

    async def _screen_locked(self, path: str) -> None:
        with _refusing():
            user = await self._property(path, SESSION, "User")
            if self._locks.screen and isinstance(user, tuple) and user[:1] == (self._uid,):
                await self._lock("screen")

    async def _look(self) -> None:
        """Check whether the user is still logged in; an unknown state changes nothing."""
        owner = self._bus.owners[NAME]
        if not owner:
            return
        with _refusing():
            try:
                answer = await self._bus.ask(owner, PATH, f"{MANAGER}.GetUser", "u", self._uid)
            except BusError as error:
                if error.refused != _NO_SUCH_USER:
                    raise
                state: object = "gone"
            else:
                state = await self._property("".join(answer[:1]), f"{NAME}.User", "State")
            if isinstance(state, str):
                before, self._logged_in = self._logged_in, state in LOGGED_IN
                if before and not self._logged_in and self._locks.logout:
                    await self._lock("logout")

    async def _property(self, path: str, interface: str, name: str) -> object:
        answer = await self._bus.ask(
            self._bus.owners[NAME], path, f"{PROPERTIES}.Get", "ss", interface, name
        )
        match answer:
            case [[str(), value]]:
                return value
        return None


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """Continue after a service's refusal. Raises BusError if the bus itself fails."""
    try:
        yield
    except BusError as error:
        if not error.refused:
            raise
