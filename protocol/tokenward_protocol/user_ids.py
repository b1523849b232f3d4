"""User ids, and the number of them in a process's user namespace: fewer inside than outside.

Pure; the number comes from the content of /proc/PID/uid_map (user_namespaces(7)).
"""

from __future__ import annotations

ALL_IDS = 0xFFFFFFFF
"""The number outside of all user namespaces. The number itself, (uid_t) -1, is not a user's id."""


def user_id(text: str) -> int:
    """Return the user id in a text. Raises ValueError."""
    if text.isascii() and text.isdigit() and len(text) <= len(str(ALL_IDS)):
        found = int(text)
        if found < ALL_IDS:
            return found
    raise ValueError("is not a user id")


def count_ids(uid_map: str) -> int:
    """Return the number of ids in a map. Raises ValueError, IndexError if it is not a map."""
    return sum(int(line.split()[2]) for line in uid_map.splitlines())


def count_known_ids(uid_map: str | None) -> int:
    """Return how many ids there are by a map; `ALL_IDS` where there is none, as on other systems."""
    try:
        return ALL_IDS if uid_map is None else count_ids(uid_map)
    except (ValueError, IndexError):
        return ALL_IDS
