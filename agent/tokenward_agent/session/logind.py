"""What logind tells of sleep, of locked screens and of the user's last session.

- **Sleep.** A delay inhibitor is held while the machine is awake, so that it does not sleep before
  the keys are gone; it is let go of once they are, and taken anew when the machine is awake again.
- **A locked screen.** Of any session of this user: asked for (`loginctl lock-session`) or said by
  whoever locked it (`LockedHint`).
- **Log-out.** The user has had a session and has none any more. logind's own word for the user's
  state is what counts: it leaves out the sessions that are none of a person, and knows those that
  only wait for a process that stayed, as an agent does.

Only what comes from the owner of logind's name is believed. Where it refuses, less is seen.

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
"""States of a user who has a session that is not about to end."""

LOOK_SECONDS: Final = 60
"""How often the user's state is asked for: a session that waits for a process ends unannounced."""


class Logind:
    """Watches over one bus, and locks upon what `locks` says, until that bus fails.

    `lock` is given the reason and returns when the keys are gone; `woke` is told of waking.
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
        """Watch, and never return. Raises BusError."""
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
        """Begin with a logind that is there, or there again."""
        await self._look()
        await self._inhibit()

    async def _sleeps(self) -> None:
        try:
            if self._locks.sleep:
                await self._lock("sleep")
        finally:
            self._let_go()

    async def _inhibit(self) -> None:
        """Have the machine wait for us before it sleeps, for as long as logind lets anybody."""
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
        """Look whether the user is still logged in; what cannot be told changes nothing."""
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
    """Go on without what a service refuses. Raises BusError where the bus itself fails."""
    try:
        yield
    except BusError as error:
        if not error.refused:
            raise
