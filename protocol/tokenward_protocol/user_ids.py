"""Which user ids there are, and how many where a process runs: fewer inside of a user namespace.

Pure, the latter from what /proc/PID/uid_map holds (user_namespaces(7)).
"""

from __future__ import annotations

ALL_IDS = 0xFFFFFFFF
"""How many there are outside of all user namespaces. That number itself, (uid_t) -1, is nobody's."""


def user_id(text: str) -> int:
    """Return the user id that a text stands for. Raises ValueError."""
    if text.isascii() and text.isdigit() and len(text) <= len(str(ALL_IDS)):
        found = int(text)
        if found < ALL_IDS:
            return found
    raise ValueError("is not a user id")


def mapped(uid_map: str) -> int:
    """Return how many ids a map knows. Raises ValueError, IndexError for what is none."""
    return sum(int(line.split()[2]) for line in uid_map.splitlines())
