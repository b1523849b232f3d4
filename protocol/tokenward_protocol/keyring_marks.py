"""By what ours is told from the user's own: a program that is called `keyring`, a line of keyringrc.cfg."""

from __future__ import annotations

BEGINNING = 4096  # bytes of a program in which a mark stands
_MARKS = (b"`keyring` of tokenward", b"from tokenward.")
"""One of them stands in each of ours. A path does not tell: a foreign one may lie below a folder
that is named after us."""

BEFORE = "# Before `auth setup`: "
"""The text that `auth setup` puts before a line that one of ours replaces."""


def is_ours(beginning: bytes) -> bool:
    """Tell whether a program is ours, by its first bytes."""
    return any(mark in beginning for mark in _MARKS)
