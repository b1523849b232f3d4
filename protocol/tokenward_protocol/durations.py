"""Lengths of time as users write them: `90s`, `15m`, `8h`, `7d`, `2w`, or joined: `1h30m`.

A bare number is refused: it does not say whether 8 means seconds or hours.
"""

from __future__ import annotations

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}

LONGEST = 100 * 365 * 86400  # the longest accepted length of time, in seconds: a hundred years


def parse_seconds(text: str) -> int:
    """Return the length of time in seconds, at least 1. Raises ValueError with a sentence."""
    total, digits = 0, ""
    for char in text:
        if char.isascii() and char.isdigit():
            digits += char
        elif digits and len(digits) < 12 and char in _SECONDS:
            total += int(digits) * _SECONDS[char]
            digits = ""
        else:
            break
    else:
        if not digits and 1 <= total <= LONGEST:
            return total
    raise ValueError("A length of time is written like 90m, 8h, 7d or 1h30m, and is above zero.")
