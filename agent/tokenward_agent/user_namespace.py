"""In how wide a user namespace this process is. Whoever made one has every right in it."""

from __future__ import annotations

from tokenward_protocol.user_ids import ALL_IDS, mapped

__all__ = ["ALL_IDS", "ids"]


def ids() -> int:
    """Return how many user ids there are here, `ALL_IDS` outside of all namespaces."""
    try:
        with open("/proc/self/uid_map", encoding="ascii") as file:
            return mapped(file.read())
    except (OSError, ValueError, IndexError):
        return ALL_IDS  # another system than Linux
