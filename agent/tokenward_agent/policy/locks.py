"""When an agent locks by itself, by the user's `config.toml`.

    lock-on-sleep = true            # before the machine sleeps
    lock-on-screen-lock = false     # when the screen is locked
    lock-on-logout = true           # when the user's last session ends
    lock-after-idle = "8h"          # after a time without a request; "never" is the default

The other values above are the defaults. No program runs while the machine sleeps or the user is
logged out, so such a lock interrupts nothing; behind a locked screen builds and uploads go on
(docs/adr). Pure.
"""

from __future__ import annotations

from typing import NamedTuple

from tokenward_protocol.durations import parse_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

IDLE: Final = "lock-after-idle"
NEVER: Final = "never"


class LockSettings(NamedTuple):
    """The events that lock an agent; `idle` in seconds, 0 for never."""

    sleep: bool = True
    screen: bool = False
    logout: bool = True
    idle: int = 0


_FLAGS: Final = {
    "lock-on-sleep": "sleep",
    "lock-on-screen-lock": "screen",
    "lock-on-logout": "logout",
}


def read_lock_settings(table: Mapping[str, Any]) -> LockSettings:
    """Return what a parsed config.toml says.

    Raises ValueError with the problem, worded to follow the file's name.
    """
    said: dict[str, Any] = {}
    for key, field in _FLAGS.items():
        if key in table:
            if not isinstance(table[key], bool):
                raise ValueError(f"has a `{key}` that is neither true nor false")
            said[field] = table[key]
    idle = table.get(IDLE, NEVER)
    if idle != NEVER:
        try:
            said["idle"] = parse_seconds(idle)
        except (ValueError, TypeError):
            raise ValueError(
                f'has a `{IDLE}` that is neither "{NEVER}" nor a length of time such as 8h'
            ) from None
    return LockSettings(**said)
