"""The text of a settings file: where its settings are, and inserting lines between them.

A setting is where a real parser would find it (ini.py, toml.py). Text of other authors is never
changed or removed, so undoing needs only our own words, and no copy of a file that may hold a
password. A replaced line stays in its place as a comment, after `BEFORE`.
"""

from __future__ import annotations

from typing import NamedTuple

from tokenward_protocol import keyring_marks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NOTE = "# The next line was written by `auth setup`; `auth setup --undo` takes it out."
"""The line above a line of ours."""

NOTES = "# The next lines were written by `auth setup`; `auth setup --undo` takes them out."
BEFORE = keyring_marks.BEFORE

Span = tuple[int, int]
"""Start and end, in characters of the text."""


class ForeignSettingError(Exception):
    """The file has another value already; `args[0]` is the key, never the value."""


class UneditableFileError(Exception):
    """The file cannot be edited without the risk of changing its meaning."""


class Setting(NamedTuple):
    """One setting: its names from the outermost on, and the spans of its lines, with their ends.

    The header of a section or table is a setting with only the names of that. `number` counts the
    tables of an array of tables from 0.
    """

    names: tuple[str, ...]
    spans: tuple[Span, ...]
    number: int = 0


class Draft:
    """A text (newlines unchanged) that grows; `inserted` lists the insertions in order."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.inserted: list[str] = []
        self._newline = "\r\n" if "\r\n" in text else "\n"

    def add(self, at: int, *lines: str, comment: str = "") -> None:
        """Insert lines at an offset where a line begins, or at the end of the text.

        With `comment` the rest of the line that begins there becomes a comment after it.
        """
        text = "".join(f"{line}{self._newline}" for line in lines) + comment
        if at == len(self.text) and self.text and not self.text.endswith("\n"):
            text = self._newline + text.removesuffix(self._newline)
        self.text = self.text[:at] + text + self.text[at:]
        self.inserted.append(text)


def without(text: str, inserted: Sequence[str]) -> tuple[str, list[str]]:
    """Remove insertions; return the text, and the insertions that are not in it unchanged."""
    missing: list[str] = []
    for piece in reversed(inserted):
        before, found, after = text.partition(piece)
        if found:
            text = before + after
        else:
            missing.append(piece)
    return text, missing
