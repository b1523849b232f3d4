"""The lifetime of a credential: one end by the wall clock and one by the boot clock.

In the boot in which it began, a lifetime is over as soon as either clock says so: setting the wall
clock back does not prolong it, and time asleep counts. In any other boot only the wall clock
counts, and never as earlier than the latest wall time that the vault has seen: so a machine that
starts in 1970 revives nothing. If the system does not name its boots, every boot counts as another
one.

The price: after a save under a wall clock set far ahead, lifetimes end early in later boots. That
errs on the safe side, and the user can log in again.

Pure: the time is an argument. All times are whole seconds.
"""

from __future__ import annotations

from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, Self

LONGEST: Final = 100 * 366 * 86_400
"""Seconds; a longer lifetime is refused."""


class Now(NamedTuple):
    """The time: `wall` since 1970 UTC, `boot` since start with sleep, and the name of the boot."""

    wall: int
    boot: int
    boot_id: str


class Lifetime(NamedTuple):
    """The end of a credential by both clocks; `boot_end` is of the boot `boot_id`."""

    wall_end: int
    boot_id: str
    boot_end: int

    @classmethod
    def beginning(cls, now: Now, seconds: int) -> Self:
        """Return the lifetime that ends *seconds* from *now*.

        Raise ValueError for less than a second or more than LONGEST.
        """
        if not 1 <= seconds <= LONGEST:
            raise ValueError("a lifetime lasts from one second to a hundred years")
        return cls(now.wall + seconds, now.boot_id, now.boot + seconds)

    def remaining_seconds(self, now: Now, seen: int) -> int:
        """Return the seconds left, 0 or less if over; *seen* is the vault's latest wall time."""
        if self.boot_id and self.boot_id == now.boot_id:
            return min(self.boot_end - now.boot, self.wall_end - now.wall)
        return self.wall_end - max(now.wall, seen)

    def is_over(self, now: Now, seen: int) -> bool:
        """Tell whether it has ended; *seen* is the vault's latest wall time."""
        return self.remaining_seconds(now, seen) <= 0
