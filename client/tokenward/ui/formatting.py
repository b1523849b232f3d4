"""How text is laid out for a person: escaping, columns, ages. Pure: no stream, no clock.

Names, URLs and sentences come from files and servers that somebody else may have written, so
whatever is shown goes through `escaped`: a control character could move the cursor, a
right-to-left mark could turn a host name around.
"""

from __future__ import annotations

from time import gmtime, strftime
from unicodedata import combining, east_asian_width

from tokenward_protocol.urls import display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_UNITS = (
    (86400 * 365, "year"),
    (86400 * 30, "month"),
    (86400, "day"),
    (3600, "hour"),
    (60, "minute"),
)


def escaped(text: str) -> str:
    r"""Return `text` with everything unprintable written as an escape: `\x1b`, `\u202e`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(char: str) -> str:
    return char.encode("unicode_escape", "backslashreplace").decode("ascii")


def width(text: str) -> int:
    """Return how many columns of a terminal an escaped text takes."""
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay rows of equal length out in columns, two blanks between; nothing trails a line."""
    rows = [[escaped(cell) for cell in row] for row in rows]
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell + " " * (wide - width(cell)) for cell, wide in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def span(seconds: float) -> str:
    """Say a length of time in its largest unit: "3 days", "1 minute"; below a minute "seconds"."""
    for size, unit in _UNITS:
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return "seconds"


def ago(moment: int | None, now: float) -> str:
    """Say how long ago a moment (seconds since 1970) was: "3 days ago", "just now", "never"."""
    if moment is None:
        return "never"
    return "just now" if now - moment < 60 else f"{span(now - moment)} ago"


def ahead(moment: int | None, now: float) -> str:
    """Say how far off an end (seconds since 1970) is: "in 8 hours", "over", "never"."""
    if moment is None:
        return "never"
    return f"in {span(moment - now)}" if moment > now else "over"


def counted(number: int, thing: str) -> str:
    """Say a number of things: "1 credential", "2 credentials"."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def listed(things: Sequence[str]) -> str:
    """Say several things in a sentence: "a", "a and b", "a, b and c"."""
    return "".join(things) if len(things) < 2 else f"{', '.join(things[:-1])} and {things[-1]}"


def credential(username: str, service: str) -> str:
    """Name a credential: "the token for pypi", "the password of alice for https://h.example/"."""
    if username == "__token__":
        return f"the token for {display(service)}"
    return f"the password{whose(username)} for {display(service)}"


def whose(username: str | None) -> str:
    """Say whose a credential is, behind a noun: " of alice"; None: not known."""
    if username is None:
        return ""
    return f" of {username}" if username else " without a user name"


def capital(text: str) -> str:
    """Return a text as it begins a sentence."""
    return text[:1].upper() + text[1:]


def timestamp(moment: int | None) -> str | None:
    """Write seconds since 1970 as RFC 3339 in UTC, for JSON."""
    return None if moment is None else strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(moment))
