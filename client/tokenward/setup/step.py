"""One file that setup is about: what is there, what is to be there, and whose word that is.

A `Whole` file is ours from the first byte to the last. A `Settings` file is the user's own, and a
few lines in it are ours. Looking changes nothing; `Look` is what was seen and what follows.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from tokenward.errors import CommandError
from tokenward.files.reading import read
from tokenward.keyring_program import standalone
from tokenward.setup.draft import Draft, without

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward.setup.journal import Entry


class StrangersWordError(Exception):
    """A file says something else already; `args[0]` is the key, never what it says."""


class NotUnderstoodError(Exception):
    """A file cannot be edited without the risk of changing what it says."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A file of ours. `mode` is its permissions, `hint` helps where a stranger's file is.

    With `alone` nothing else may lie in its folder, and nobody else may get into that.
    """

    part: str
    path: str
    text: str = field(repr=False)
    mode: int
    hint: str
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """Lines of ours in a settings file.

    `edit(draft, over)` puts them in and returns sentences that are worth saying; it raises
    StrangersWordError (unless `over`) and NotUnderstoodError. `lines` is what a person would
    write, for a hint. `needs` is the file that they lead to: without it they would do harm.
    """

    part: str
    path: str
    edit: Callable[[Draft, bool], list[str]]
    lines: str
    needs: str = ""

    @property
    def hint(self) -> str:
        """What helps where the lines cannot be put in."""
        return f"to have tokenward asked, write there: {self.lines}"


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen: `before` is None where there is no file, `after` what it is to become."""

    step: Whole | Settings
    before: str | None = field(repr=False)
    after: str = field(repr=False)
    inserted: tuple[str, ...] = ()
    over: bool = False
    notes: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        """Tell whether there is anything to write."""
        return self.before != self.after

    @property
    def summary(self) -> str:
        """Say what is going to be done to the file, in a sentence."""
        if isinstance(self.step, Whole):
            return f"{self.step.path} will be {'made' if self.before is None else 'written anew'}."
        verb = "will be made with" if self.before is None else "will get"
        return f"{self.step.path} {verb} {self.step.lines}."


def look(step: Whole | Settings, known: Entry | None, *, over: bool = False) -> Look:
    """Look at a step's file; `known` is what the journal has of it.

    Raises StrangersWordError and NotUnderstoodError as the step's edit does (for a whole file
    where a stranger's lies in its place), CommandError where it cannot be read.
    """
    text = text_of(step.path)
    if isinstance(step, Whole):
        if text is not None and not _is_ours(text, step, known):
            raise StrangersWordError
        return Look(step, text, step.text)
    if known and text is not None and (notes := _still_said(step, text)) is not None:
        return Look(step, text, text, notes=tuple(notes))
    over = over or bool(known and known.over)
    draft = Draft(without(text or "", known.inserted)[0] if known else text or "")
    notes = step.edit(draft, over)
    return Look(step, text, draft.text, tuple(draft.inserted), over, tuple(notes))


def _still_said(step: Settings, text: str) -> list[str] | None:
    """Return the notes on a text that says all of it already, wherever; None if it does not."""
    draft = Draft(text)
    try:
        notes = step.edit(draft, False)
    except (StrangersWordError, NotUnderstoodError):
        return None
    return None if draft.inserted else notes


def text_of(path: str) -> str | None:
    """Return a file's text, byte for byte in surrogates where it is no UTF-8; None where none is.

    Raises CommandError where it cannot be read, or where a link leads nowhere.
    """
    data = read(path)
    if data is None and os.path.islink(path):
        raise CommandError(f"{path} is a link that leads nowhere.", f"`ls -l {path}`")
    return None if data is None else data.decode("utf-8", "surrogateescape")


def digest(text: str) -> str:
    """Return what a whole file is recognised by."""
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _is_ours(text: str, step: Whole, known: Entry | None) -> bool:
    marked = standalone.MARK in text[:4096]
    return text == step.text or marked or bool(known and known.digest == digest(text))
