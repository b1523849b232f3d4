"""Automatic locks: at sleep, a locked screen, a log-out, or idleness.

Such a lock destroys what `lock` destroys and leaves no marker: the next request opens a vault that
opens without input. Watchers of the session call `lock`. Two reasons come from the clocks, which
are also checked before each request, so that no request overtakes its lock: no request for longer
than the user's setting, and a sleep of the machine that no watcher announced.

Only requests in `USES` count as use; a program that reads the agent's status keeps nothing open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokenward_agent.policy.rule import LockSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tokenward_agent.clock import Clock
    from tokenward_agent.policy.file import PolicyFile
    from tokenward_protocol.packing import Value

USES: Final = frozenset(
    {
        "fetch",
        "login",
        "logout",
        "create",
        "passphrase",
        "restore",
        "share",
        "unlock",
        "grant",
        "run",
    }
)
"""Requests that keep an agent from being idle."""

LEAST_SLEEP: Final = 2.0  # the shortest sleep that counts, in seconds
LOGIND: Final = "logind"
SESSION_BUS: Final = "session bus"
_CLOCK: Final = "clock"


class AutoLock:
    """Locks one agent by itself, by the `policy` file.

    `is_open` tells whether any vault is open; if a lock closes one, `note` records the reason.
    `anchor` waits shortly for writes that need the keys; `close` destroys the keys.
    """

    def __init__(
        self,
        clock: Clock,
        policy: PolicyFile,
        is_open: Callable[[], bool],
        note: Callable[[str], None],
        anchor: Callable[[], Awaitable[None]],
        close: Callable[[], None],
    ) -> None:
        self._clock, self._policy, self._is_open, self._note = clock, policy, is_open, note
        self._anchor, self._close = anchor, close
        self._used = clock.boot()
        self._slept = clock.asleep_seconds()
        self._last: tuple[str, int] | None = None
        self.locks = LockSettings()
        """The events to lock at, from the last valid version of the file."""
        self.before_locking: Callable[[str], None] = lambda _why: None
        """Called with the reason while a vault is still open."""
        self.tellers: set[str] = set()
        """The current sources of session events: `LOGIND`, `SESSION_BUS`."""

    async def lock(self, why: str) -> None:
        """Lock because of `sleep`, `screen`, `logout` or `idle`; the lock is complete on return."""
        self._log(why)
        try:
            await self._anchor()
        finally:
            self._close()

    def _log(self, why: str) -> None:
        if self._is_open():
            self._last = why, self._clock.wall()
            self._note(why)
            self.before_locking(why)

    def before_request(self, op: str) -> None:
        """Lock before a request, if a lock is due."""
        if why := self._due_reason():
            self._log(why)
            self._close()
        if op in USES:
            self._used = self._clock.boot()

    async def check(self) -> None:
        """Check the user's file and the clocks."""
        self._policy.reload(self._clock.wall())
        if not self._policy.problem:
            self.locks = self._policy.policy.locks
        if why := self._due_reason():
            await self.lock(why)

    def _due_reason(self) -> str:
        """Return a reason that the clocks give, once, or ""."""
        slept, boot = self._clock.asleep_seconds(), self._clock.boot()
        if slept - self._slept >= LEAST_SLEEP:
            self._slept = slept
            if self.locks.sleep:
                return "sleep"
        idle = self.locks.idle
        if idle and boot - self._used >= idle:
            self._used = boot
            return "idle"
        return ""

    def note_resume(self) -> None:
        """Record that the sleep that ends now was announced in time."""
        self._slept = max(self._slept, self._clock.asleep_seconds())

    def overview(self) -> dict[str, Value]:
        """Return the events that lock, their sources, and the last lock."""
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
