"""Layout of text for the user: escaping, columns, ages. Pure: no stream, no clock.

Names, URLs and sentences may come from files and servers of an attacker, so every shown text goes
through `escape`: a control character could move the cursor, and a right-to-left mark could reverse
a host name.
"""

from __future__ import annotations

from time import gmtime, strftime

from tokenward_protocol.urls import display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    Part = str | tuple[str, str]
    """A text, or a text with its style: `bold`, `dim`, `red`, `yellow` or `cyan`."""

_UNITS = (
    (86400 * 365, "year"),
    (86400 * 30, "month"),
    (86400, "day"),
    (3600, "hour"),
    (60, "minute"),
)


def escape(text: str) -> str:
    r"""Return `text` with every unprintable character as an escape: `\x1b`, `\u202e`."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode("ascii")
        for c in text
    )


def display_width(text: str) -> int:
    """Return how many columns an escaped text takes on a terminal."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def text_of(part: Part) -> str:
    """Return the escaped text of a part."""
    return escape(part if isinstance(part, str) else part[0])


def columns(rows: Sequence[Sequence[Part]]) -> list[list[Part]]:
    """Lay out rows of equal length in columns, with two blanks between and none at the end."""
    widths = [
        max(display_width(text_of(cell)) for cell in cells) for cells in zip(*rows, strict=True)
    ]
    lines: list[list[Part]] = []
    for row in rows:
        line: list[Part] = []
        for cell, wide in zip(row, widths, strict=True):
            line += [cell, " " * (wide - display_width(text_of(cell)) + 2)]
        while line and not text_of(line[-1]).strip():
            line.pop()
        lines.append(line)
    return lines


def width_of(line: Sequence[Part]) -> int:
    """Return how many columns a line takes on a terminal."""
    return sum(display_width(text_of(part)) for part in line)


def fit(line: list[Part], width: int) -> list[list[Part]]:
    """Break the last part of a line that is wider than `width`, below itself where there is room."""
    if width_of(line) <= width:
        return [line]
    *head, last = line
    start = width_of(head)
    if start > width * 2 // 3:
        head, last, start = [], "".join(map(text_of, line)), 0
    texts = wrap(text_of(last), width - (start or 2))
    parts: list[Part] = [*texts] if isinstance(last, str) else [(text, last[1]) for text in texts]
    fitted: list[list[Part]] = [[*head, parts[0]]]
    fitted.extend([" " * (start or 2), part] for part in parts[1:])
    return fitted


def stack(row: Sequence[Part], width: int) -> list[list[Part]]:
    """Lay out a row that is too wide for a terminal: the first cell, and the others below it."""
    first, *others = row
    rest = ", ".join(text for cell in others if (text := text_of(cell)))
    stacked: list[list[Part]] = [[first]]
    stacked.extend([f"    {line}"] for line in wrap(rest, width - 4) if line)
    return stacked


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """Break a text at blanks into lines of `width` columns; all but the first are indented.

    A word that is wider stays whole, and so does what stands in backquotes: it is copied.
    """
    words: list[str] = []
    for word in text.split(" "):
        if words and words[-1].count("`") % 2:
            words[-1] += f" {word}"
        else:
            words.append(word)
    lines = [words[0]]
    for word in words[1:]:
        if display_width(lines[-1]) + 1 + display_width(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(indent + word)
    return lines


def short_ago_text(moment: int | None, now: float) -> str:
    """Write how long ago a moment was, for a column: "7 min ago", "3 h ago", "12 days ago"."""
    text = ago_text(moment, now)
    for long, short in _SHORT:
        text = text.replace(long, short)
    return text


_SHORT = ((" minutes", " min"), (" minute", " min"), (" hours", " h"), (" hour", " h"))


def span_text(seconds: float) -> str:
    """Write a duration in its largest unit: "3 days", "1 minute"; below a minute "seconds"."""
    for size, unit in _UNITS:
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return "seconds"


def ago_text(moment: int | None, now: float) -> str:
    """Write how long ago a moment (seconds since 1970) was: "3 days ago", "just now", "never"."""
    if moment is None:
        return "never"
    return "just now" if now - moment < 60 else f"{span_text(now - moment)} ago"


def ahead_text(moment: int | None, now: float) -> str:
    """Write how far off a moment (seconds since 1970) is: "in 8 hours", "over", "never"."""
    if moment is None:
        return "never"
    return f"in {span_text(moment - now)}" if moment > now else "over"


def count_of(number: int, thing: str) -> str:
    """Write a number of things: "1 credential", "2 credentials"."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def join_words(things: Sequence[str]) -> str:
    """Write several things as in a sentence: "a", "a and b", "a, b and c"."""
    return "".join(things) if len(things) < 2 else f"{', '.join(things[:-1])} and {things[-1]}"


def credential_text(username: str, service: str) -> str:
    """Name a credential: "the token for pypi", "the password of alice for https://h.example/"."""
    if username == "__token__":
        return f"the token for {display(service)}"
    return f"the password{whose_text(username)} for {display(service)}"


def whose_text(username: str | None) -> str:
    """Return " of alice" to follow a noun, " without a user name", or "" for None (unknown)."""
    if username is None:
        return ""
    return f" of {username}" if username else " without a user name"


def capitalise(text: str) -> str:
    """Return a text with a capital letter at its beginning."""
    return text[:1].upper() + text[1:]


def timestamp(moment: int | None) -> str | None:
    """Write seconds since 1970 as RFC 3339 in UTC, for JSON."""
    return None if moment is None else strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(moment))
