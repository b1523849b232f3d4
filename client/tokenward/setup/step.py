"""One file that setup writes: its state, its wanted state, and whose setting it has.

A `WholeFile` file is entirely ours. A `SettingsEdit` file is the user's own and gets a few lines of ours.
Looking changes nothing; `FileChange` is the result.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from tokenward.errors import CommandError
from tokenward.files.draft import Draft, ForeignSettingError, UneditableFileError, without
from tokenward.files.reading import read
from tokenward.keyring_program import standalone

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward.setup.journal import JournalEntry


@dataclass(frozen=True, slots=True)
class WholeFile:
    """A file of ours. `mode` is its permissions, `hint` helps if another file is in its place.

    With `alone` its folder must hold nothing else, and must be closed to other users.
    """

    part: str
    path: str
    text: str = field(repr=False)
    mode: int
    hint: str
    alone: bool = False


@dataclass(frozen=True, slots=True)
class SettingsEdit:
    """Lines of ours in a settings file.

    `edit(draft, over)` inserts them and returns notes for the user; it raises ForeignSettingError
    (unless `over`) and UneditableFileError. `lines` describes them, for a hint. `needs` is the file
    that they lead to: without it they would do harm.
    """

    part: str
    path: str
    edit: Callable[[Draft, bool], list[str]]
    lines: str
    needs: str = ""

    @property
    def hint(self) -> str:
        """What helps if the lines cannot be inserted."""
        return f"to use tokenward, write there: {self.lines}"


@dataclass(frozen=True, slots=True)
class FileChange:
    """The state of a file: `before` is None if it does not exist, `after` the wanted text."""

    step: WholeFile | SettingsEdit
    before: str | None = field(repr=False)
    after: str = field(repr=False)
    inserted: tuple[str, ...] = ()
    over: bool = False
    notes: tuple[str, ...] = ()

    @property
    def has_changes(self) -> bool:
        """Return whether there is anything to write."""
        return self.before != self.after

    @property
    def summary(self) -> str:
        """Return a sentence on what will be done to the file."""
        if isinstance(self.step, WholeFile):
            return f"{self.step.path} will be {'created' if self.before is None else 'rewritten'}."
        verb = "will be created with" if self.before is None else "will get"
        return f"{self.step.path} {verb} {self.step.lines}."


def plan_change(
    step: WholeFile | SettingsEdit, known: JournalEntry | None, *, over: bool = False
) -> FileChange:
    """Look at a step's file; `known` is its entry in the journal.

    Raises ForeignSettingError and UneditableFileError as the step's edit does (also if another file
    is in the place of a whole one), CommandError if it cannot be read.
    """
    text = read_text(step.path)
    if isinstance(step, WholeFile):
        if text is not None and not _is_ours(text, step, known):
            raise ForeignSettingError
        return FileChange(step, text, step.text)
    if known and text is not None and (notes := _notes_if_said(step, text)) is not None:
        return FileChange(step, text, text, notes=tuple(notes))
    over = over or bool(known and known.over)
    draft = Draft(without(text or "", known.inserted)[0] if known else text or "")
    notes = step.edit(draft, over)
    return FileChange(step, text, draft.text, tuple(draft.inserted), over, tuple(notes))


def _notes_if_said(step: SettingsEdit, text: str) -> list[str] | None:
    """Return the notes on a text that has all of it already, wherever; else None."""
    draft = Draft(text)
    try:
        notes = step.edit(draft, False)
    except (ForeignSettingError, UneditableFileError):
        return None
    return None if draft.inserted else notes


def read_text(path: str) -> str | None:
    """Return a file's text, other bytes than UTF-8 as surrogates, or None if it does not exist.

    Raises CommandError if it cannot be read, or is a dangling link.
    """
    data = read(path)
    if data is None and os.path.islink(path):
        raise CommandError(f"{path} is a dangling link.", f"`ls -l {path}`")
    return None if data is None else data.decode("utf-8", "surrogateescape")


def digest(text: str) -> str:
    """Return the digest by which a whole file is recognised."""
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _is_ours(text: str, step: WholeFile, known: JournalEntry | None) -> bool:
    marked = standalone.MARK in text[:4096]
    return text == step.text or marked or bool(known and known.digest == digest(text))
