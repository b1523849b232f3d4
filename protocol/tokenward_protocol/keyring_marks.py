"""By what a program of ours that is called `keyring` is told from the user's own."""

from __future__ import annotations

BEGINNING = 4096  # bytes of a program in which a mark stands
_MARKS = (b"`keyring` of tokenward", b"from tokenward.")
"""One of them stands in each of ours. A path does not tell: a foreign one may lie below a folder that is
named after us."""


def is_ours(beginning: bytes) -> bool:
    """Tell whether a program is ours, by its first bytes."""
    return any(mark in beginning for mark in _MARKS)
