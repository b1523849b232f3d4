"""Doing it and undoing it: from steps to files, with the journal beside.

Each file stands alone: one that is refused keeps the others from nothing. What is said about a
refusal is collected here and told by the command.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tokenward.errors import CommandError
from tokenward.files import user_files
from tokenward.setup.draft import without
from tokenward.setup.journal import Entry
from tokenward.setup.step import Look, Whole, digest, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenward.setup.journal import Journal


@dataclass(slots=True)
class Outcome:
    """What became of the files, by path; `refused` has the reasons."""

    written: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    refused: dict[str, CommandError] = field(default_factory=dict)

    def described(self) -> dict[str, list[str]]:
        """Return it as JSON has it."""
        return {
            "written": self.written,
            "unchanged": self.unchanged,
            "removed": self.removed,
            "refused": list(self.refused),
        }


def do(looks: Sequence[Look], journal: Journal, outcome: Outcome) -> None:
    """Write every file that is not as it is to be. Raises CommandError if the journal fails."""
    for look in looks:
        path = look.step.path
        try:
            user_files.forget_unfinished(path)
            if _is_to_be_written(look, journal, outcome):
                _write(look, journal)
                outcome.written.append(path)
            else:
                outcome.unchanged.append(path)
        except CommandError as error:
            outcome.refused[path] = error


def _is_to_be_written(look: Look, journal: Journal, outcome: Outcome) -> bool:
    """Tell whether a file is not yet as it is to be. Raises CommandError if it has to stay so."""
    step, path = look.step, look.step.path
    if isinstance(step, Whole):
        if step.alone:
            folder, name = os.path.split(path)
            user_files.make_private(os.path.dirname(folder))
            user_files.make_private(folder, {name, "__pycache__"})
        if not look.changes:
            user_files.set_mode(path, step.mode)
    elif step.needs in outcome.refused:
        raise CommandError(f"{path} stays as it was, since {step.needs} did.")
    if not look.changes:
        return False
    now = text_of(path)
    if now == look.after and path in journal.files:
        return False  # another setup was faster
    if now != look.before:
        raise CommandError(f"{path} was changed meanwhile.", "do it again")
    return True


def _write(look: Look, journal: Journal) -> None:
    path, known = look.step.path, journal.files.get(look.step.path)
    journal.remember_folders(path)
    mode = look.step.mode if isinstance(look.step, Whole) else 0o600
    entry = Entry(
        look.step.part,
        made=known.made if known else look.before is None,
        over=look.over,
        inserted=list(look.inserted),
        digest=digest(look.after) if isinstance(look.step, Whole) else "",
    )
    before = journal.files.get(path)
    journal.files[path] = entry
    journal.save()
    try:
        user_files.make_folders(path)
        user_files.write(path, look.after, mode)
    except CommandError:
        if before is None:
            del journal.files[path]
        else:
            journal.files[path] = before
        journal.save()
        raise
    if isinstance(look.step, Whole):
        user_files.set_mode(path, mode)


def undo(parts: Sequence[str], journal: Journal, outcome: Outcome) -> None:
    """Take out what was put into files of these parts, and remove what was made for it.

    A file that was changed since keeps every change; what of ours cannot be told from it stays and
    is refused with a reason. Raises CommandError if the journal fails.
    """
    # Settings before the files that they lead to: no tool is ever led to one that is not there.
    for path, entry in sorted(journal.files.items(), key=lambda item: item[1].digest != ""):
        if entry.part not in parts:
            continue
        try:
            if entry.digest:
                _check_that_nobody_needs(path, entry, journal)
            user_files.forget_unfinished(path)
            _take_out(path, entry, outcome)
        except CommandError as error:
            outcome.refused[path] = error
            continue
        del journal.files[path]
        journal.save()
    user_files.forget_unfinished(journal.path)
    kept = [*journal.files, *([journal.path] if journal.files else [])]
    over = [f for f in journal.folders if not any(path.startswith(f"{f}/") for path in kept)]
    last = [folder for folder in over if journal.path.startswith(f"{folder}/")]
    _remove_folders([folder for folder in over if folder not in last], outcome)
    journal.folders = [folder for folder in journal.folders if folder not in over]
    journal.save()
    _remove_folders(last, outcome)


def _remove_folders(folders: Sequence[str], outcome: Outcome) -> None:
    for folder in sorted(folders, key=len, reverse=True):
        _forget_compiled(folder)
        if os.path.isdir(folder) and user_files.remove_folder(folder):
            outcome.removed.append(folder)


def _check_that_nobody_needs(path: str, entry: Entry, journal: Journal) -> None:
    for other, its in journal.files.items():
        if its.part == entry.part and not its.digest:
            raise CommandError(
                f"{path} stays, since {other} may lead there.",
                "take the lines out of that, then `auth setup --undo` again",
            )


def _take_out(path: str, entry: Entry, outcome: Outcome) -> None:
    text = text_of(path)
    if text is None:
        outcome.unchanged.append(path)
        return
    if entry.digest:
        if digest(text) != entry.digest:
            raise CommandError(
                f"{path} was changed since, so it stays.", f"look at it, then `rm {path}`"
            )
        rest = ""
    else:
        rest, missing = without(text, entry.inserted)
        if _is_there_in_part(missing, rest):
            raise CommandError(
                f"The lines of `auth setup` in {path} were changed since, so they stay.",
                "take them out by hand",
            )
    if rest == text:
        outcome.unchanged.append(path)
    elif (entry.made or entry.digest) and not rest.strip():
        user_files.remove(path)
        outcome.removed.append(path)
    else:
        user_files.write(path, rest, 0o600)
        outcome.written.append(path)


def _is_there_in_part(missing: Sequence[str], text: str) -> bool:
    """Tell whether some of what is not there as it was put in is there in another way."""
    said = {line.strip() for piece in missing for line in piece.splitlines() if "=" in line}
    left = {line.strip() for line in text.splitlines()}
    return bool(said & left or (any(map(str.strip, missing)) and "`auth setup`" in text))


def _forget_compiled(folder: str) -> None:
    """Remove what Python has compiled from our module beside it."""
    cache = f"{folder}/__pycache__"
    with suppress(OSError):
        for name in os.listdir(cache):
            if name.startswith("tokenward_keyring."):
                user_files.remove(f"{cache}/{name}")
        user_files.remove_folder(cache)
