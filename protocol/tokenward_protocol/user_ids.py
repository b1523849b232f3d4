"""How many user ids there are where a process runs: fewer inside of a user namespace than outside.

Pure, from what /proc/PID/uid_map holds (user_namespaces(7)).
"""

from __future__ import annotations

ALL_IDS = 0xFFFFFFFF
"""How many there are outside of all user namespaces."""


def mapped(uid_map: str) -> int:
    """Return how many ids a map knows. Raises ValueError, IndexError for what is none."""
    return sum(int(line.split()[2]) for line in uid_map.splitlines())
