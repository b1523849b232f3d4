"""How long a credential may be handed out: an end by the wall clock and one by the boot clock.

Within the boot that it began in, a lifetime is over as soon as either clock says so: setting the
wall clock back does not prolong it, and time asleep counts. In any other boot only the wall clock
is left, and it is never believed to be earlier than the latest wall time that the vault has seen;
so a machine that comes up in 1970 does not revive anything. Where the system gives a boot no name,
every boot counts as another one.

The price: a wall clock that was once set far ahead and saved ends lifetimes early after the next
boot. That errs on the safe side, and the credential is still the user's to log in with.

Pure: the time is passed in. All times are whole seconds.
"""

from __future__ import annotations

from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, Self

LONGEST: Final = 100 * 366 * 86_400
"""Seconds; a longer lifetime is no limit and is refused."""


class Now(NamedTuple):
    """The time: `wall` since 1970 UTC, `boot` since start with sleep, and the name of the boot."""

    wall: int
    boot: int
    boot_id: str


class Lifetime(NamedTuple):
    """The end of a credential by both clocks; `boot_id` is the boot that `boot_end` belongs to."""

    wall_end: int
    boot_id: str
    boot_end: int

    @classmethod
    def beginning(cls, now: Now, seconds: int) -> Self:
        """Return the lifetime that ends *seconds* from *now*.

        Raises ValueError for less than a second or more than LONGEST.
        """
        if not 1 <= seconds <= LONGEST:
            raise ValueError("a lifetime lasts from one second to a hundred years")
        return cls(now.wall + seconds, now.boot_id, now.boot + seconds)

    def remaining(self, now: Now, seen: int) -> int:
        """Return the seconds that are left, 0 or less if over; *seen* is the vault's latest time."""
        if self.boot_id and self.boot_id == now.boot_id:
            return min(self.boot_end - now.boot, self.wall_end - now.wall)
        return self.wall_end - max(now.wall, seen)

    def over(self, now: Now, seen: int) -> bool:
        """Tell whether it has ended; *seen* is the latest wall time that the vault has seen."""
        return self.remaining(now, seen) <= 0
