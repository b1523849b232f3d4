"""Locking without anybody's word: upon sleep, a locked screen, a log-out, or idleness.

Such a lock destroys what `lock` does and leaves no marker: what needs nobody to open is opened by
the next request. Whoever sees a reason calls `lock`. Two reasons the clocks tell, and are looked
for here, before each request too, so that none gets ahead of its lock: nothing was asked for longer
than the user wants, and the machine has slept, for where nobody said so before.

What counts as use is a request that does something, as `USES` has them; that a program looks at
the agent's state keeps nothing open.
"""

from __future__ import annotations

from tokenward_agent.policy.locks import Locks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Final

    from tokenward_agent.clock import Clock
    from tokenward_agent.policy.file import PolicyFile
    from tokenward_protocol.packing import Value

USES: Final = frozenset(
    {"fetch", "login", "logout", "create", "passphrase", "restore", "share", "unlock"}
)
"""Requests that keep an agent from being idle."""

LEAST_SLEEP: Final = 2.0
"""Seconds that a sleep takes at least to be one."""

LOGIND: Final = "logind"
SESSION_BUS: Final = "session bus"
_CLOCK: Final = "clock"


class AutoLock:
    """Locks one agent by itself, as the `policy` file wants it.

    `is_open` tells whether any vault is; of a lock that closes one `note` keeps the reason, and
    `vouch` waits, for not long, for what is to be written while there are keys. `close` destroys.
    """

    def __init__(
        self,
        clock: Clock,
        policy: PolicyFile,
        is_open: Callable[[], bool],
        note: Callable[[str], None],
        vouch: Callable[[], Awaitable[None]],
        close: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._policy = policy
        self._is_open = is_open
        self._note = note
        self._vouch = vouch
        self._close = close
        self._used = clock.boot()
        self._slept = clock.slept()
        self._last: tuple[str, int] | None = None
        self.locks = Locks()
        """Upon what to lock, as the file said when it was last looked at and could be obeyed."""
        self.tellers: set[str] = set()
        """Who tells of the session now: `LOGIND`, `SESSION_BUS`."""

    async def lock(self, why: str) -> None:
        """Lock because of `sleep`, `screen`, `logout` or `idle`; done when this returns."""
        self._say(why)
        try:
            await self._vouch()
        finally:
            self._close()

    def _say(self, why: str) -> None:
        if self._is_open():
            self._last = why, self._clock.wall()
            self._note(why)

    def asked(self, op: str) -> None:
        """Lock before a request, if it has to come to that."""
        if why := self._due():
            self._say(why)
            self._close()
        if op in USES:
            self._used = self._clock.boot()

    async def look_around(self) -> None:
        """Look at the user's file and at the clocks."""
        self._policy.look(self._clock.wall())
        if not self._policy.problem:
            self.locks = self._policy.policy.locks
        if why := self._due():
            await self.lock(why)

    def _due(self) -> str:
        """Return a reason that the clocks tell, once, or ""."""
        slept, boot = self._clock.slept(), self._clock.boot()
        if slept - self._slept >= LEAST_SLEEP:
            self._slept = slept
            if self.locks.sleep:
                return "sleep"
        idle = self.locks.idle
        if idle and boot - self._used >= idle:
            self._used = boot
            return "idle"
        return ""

    def woke(self) -> None:
        """Note that of the sleep that ends now somebody has told in time."""
        self._slept = max(self._slept, self._clock.slept())

    def overview(self) -> dict[str, Value]:
        """Say upon what this locks, who tells of it, and what it last did."""
        locks = self.locks
        logind = [name for name in (LOGIND,) if name in self.tellers]
        buses: list[Value] = [name for name in (LOGIND, SESSION_BUS) if name in self.tellers]
        last = self._last
        return {
            "sleep": [*logind, _CLOCK] if locks.sleep else None,
            "screen": buses if locks.screen else None,
            "logout": buses if locks.logout else None,
            "idle": locks.idle or None,
            "last": None if last is None else {"why": last[0], "time": last[1]},
        }
