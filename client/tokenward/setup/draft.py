"""The text of a settings file, and what is put into it: insertions, and nothing but insertions.

Since nothing of a stranger's text is ever changed or taken out, undoing needs our own words alone,
and no copy of a file that may hold a password. A line that another takes the place of stays where
it is, behind `BEFORE` as a comment.
"""

from __future__ import annotations

NOTES = "# The next lines were written by `auth setup`; `auth setup --undo` takes them out."
BEFORE = "# Before `auth setup`: "


class Draft:
    """A text (newlines as they are) that grows; `inserted` is what was put in, in this order."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.inserted: list[str] = []
        self._newline = "\r\n" if "\r\n" in text else "\n"

    def add(self, at: int, *lines: str, comment: str = "") -> None:
        """Put lines in at an offset where one begins, or at the end of the text.

        With `comment` the rest of the line that begins there becomes a comment behind it.
        """
        text = "".join(f"{line}{self._newline}" for line in lines) + comment
        if at == len(self.text) and self.text and not self.text.endswith("\n"):
            text = self._newline + text.removesuffix(self._newline)
        self.text = self.text[:at] + text + self.text[at:]
        self.inserted.append(text)


def without(text: str, inserted: list[str]) -> tuple[str, list[str]]:
    """Take what was put in out again; return the text, and what is not there as it was put in."""
    missing: list[str] = []
    for piece in reversed(inserted):
        before, found, after = text.partition(piece)
        if found:
            text = before + after
        else:
            missing.append(piece)
    return text, missing
