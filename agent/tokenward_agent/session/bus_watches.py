"""The watchers of the two buses: started when the user's settings need them, restarted on failure.

A missing or failed bus is tried again after a second, then at longer intervals, up to a minute. No
D-Bus code is imported until a bus exists. The session's own bus ends with the session, so its
hang-up counts as a log-out.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from typing import TYPE_CHECKING, Final

from tokenward_agent.session.auto_lock import LOGIND, SESSION_BUS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenward_agent.policy.rule import LockSettings
    from tokenward_agent.session.auto_lock import AutoLock

FIRST_SECONDS: Final = 1
LONGEST_SECONDS: Final = 60
"""Seconds between a failure of a bus and the next try: at first, and at most."""

_SYSTEM_BUS: Final = "unix:path=/run/dbus/system_bus_socket"


def is_socket(place: str) -> bool:
    """Return whether there may be a bus; one in the abstract namespace has no file."""
    return place.startswith("\0") or os.path.exists(place)


class BusWatches:
    """Watches the buses that `environ` names, for the user `uid`; used inside of the loop."""

    def __init__(self, auto_lock: AutoLock, environ: Mapping[str, str], uid: int) -> None:
        self._system = socket_paths(environ.get("DBUS_SYSTEM_BUS_ADDRESS") or _SYSTEM_BUS)
        self._own = session_bus_paths(environ)
        self._auto_lock = auto_lock
        self._uid = uid
        self._locks: LockSettings | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def refresh(self) -> None:
        """Start watching, or restart it if the user's settings changed."""
        locks = self._auto_lock.locks
        if locks == self._locks or sys.platform != "linux":
            return
        self.close()
        self._locks = locks
        loop = asyncio.get_running_loop()
        if locks.sleep or locks.screen or locks.logout:
            self._tasks.append(loop.create_task(self._keep_watching(self._system, LOGIND, locks)))
        if locks.screen or locks.logout:
            self._tasks.append(loop.create_task(self._keep_watching(self._own, SESSION_BUS, locks)))

    def close(self) -> None:
        """Stop watching."""
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    async def _keep_watching(self, places: list[str], name: str, locks: LockSettings) -> None:
        loop = asyncio.get_running_loop()
        delay = FIRST_SECONDS
        while True:
            began = loop.time()
            for place in filter(is_socket, places):
                await self._watch(place, name, locks)
            if loop.time() - began > LONGEST_SECONDS:
                delay = FIRST_SECONDS
            await asyncio.sleep(delay)
            delay = min(2 * delay, LONGEST_SECONDS)

    async def _watch(self, place: str, name: str, locks: LockSettings) -> None:
        from tokenward_agent.session.bus import Bus, BusError, BusGone
        from tokenward_agent.session.watchers import Logind, watch_screen_savers

        auto_lock, bus = self._auto_lock, Bus()
        try:
            await bus.connect(place)
            auto_lock.tellers.add(name)
            if name == LOGIND:
                await Logind(bus, self._uid, locks, auto_lock.lock, auto_lock.note_resume).watch()
            else:
                await watch_screen_savers(bus, locks, auto_lock.lock)
        except BusGone:
            if name == SESSION_BUS and name in auto_lock.tellers and locks.logout:
                await auto_lock.lock("logout")
        except BusError:
            return
        finally:
            auto_lock.tellers.discard(name)
            bus.close()


def session_bus_paths(environ: Mapping[str, str]) -> list[str]:
    """Return the sockets of the session's own bus, which may not exist."""
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    own = environ.get("DBUS_SESSION_BUS_ADDRESS") or (runtime and f"unix:path={runtime}/bus")
    return socket_paths(own)


def socket_paths(address: str) -> list[str]:
    """Return the Unix sockets of a bus's address, in order; other transports are left out.

    Source: the D-Bus specification, "Server Addresses".
    """
    found = []
    for each in address.split(";"):
        transport, _, rest = each.partition(":")
        values = dict(pair.split("=", 1) for pair in rest.split(",") if "=" in pair)
        for key, before in (("path", ""), ("abstract", "\0")):
            if transport == "unix" and key in values:
                found.append(before + _unescape(values[key]))
    return found


def _unescape(text: str) -> str:
    spelled = re.sub(rb"%([0-9A-Fa-f]{2})", lambda m: bytes([int(m[1], 16)]), os.fsencode(text))
    return os.fsdecode(spelled)
