"""The files that setup writes: what is to change in each, writing it, and undoing it by the journal.

A `WholeFile` file is entirely ours. A `SettingsEdit` file is the user's own and gets a few lines of
ours. `plan_change` looks and changes nothing; its result is a `FileChange`. Each file is independent:
a refused one does not stop the others. The reasons for refusals are collected here, and the command
prints them.
"""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256

from tokenward.errors import CommandError
from tokenward.files import user_files
from tokenward.files.draft import Draft, ForeignSettingError, UneditableFileError, without
from tokenward.files.reading import read
from tokenward.keyring_program import standalone
from tokenward.setup.journal import JournalEntry
from tokenward_protocol.light import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokenward.setup.journal import Journal


class WholeFile(Record):
    """A file of ours. `mode` is its permissions, `hint` helps if another file is in its place.

    With `alone` its folder must hold nothing else, and must be closed to other users.
    """

    part: str
    path: str
    text: str
    mode: int
    hint: str
    alone: bool = False


class SettingsEdit(Record):
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


class FileChange(Record):
    """The state of a file: `before` is None if it does not exist, `after` the wanted text."""

    step: WholeFile | SettingsEdit
    before: str | None
    after: str
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


class SetupOutcome:
    """The outcome for each path; `refused` has the reasons."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.unchanged: list[str] = []
        self.removed: list[str] = []
        self.refused: dict[str, CommandError] = {}

    def to_json(self) -> dict[str, list[str]]:
        """Return it as JSON has it."""
        return {**vars(self), "refused": list(self.refused)}


def do(looks: Sequence[FileChange], journal: Journal, outcome: SetupOutcome) -> None:
    """Write every file that differs from its wanted state. Raises CommandError for the journal."""
    for seen in looks:
        path = seen.step.path
        try:
            user_files.forget_unfinished(path)
            if _is_to_be_written(seen, journal, outcome):
                _write(seen, journal)
                outcome.written.append(path)
            else:
                outcome.unchanged.append(path)
        except CommandError as error:
            outcome.refused[path] = error


def _is_to_be_written(seen: FileChange, journal: Journal, outcome: SetupOutcome) -> bool:
    """Return whether a file must be written. Raises CommandError if it must not be changed."""
    step, path = seen.step, seen.step.path
    if isinstance(step, WholeFile):
        if step.alone:
            folder, name = os.path.split(path)
            user_files.make_private(os.path.dirname(folder))
            user_files.make_private(folder, {name, "__pycache__"})
        if not seen.has_changes:
            user_files.set_mode(path, step.mode)
    elif step.needs in outcome.refused:
        raise CommandError(f"{path} was not changed, because {step.needs} was not written.")
    if not seen.has_changes:
        return False
    now = read_text(path)
    if now == seen.after and path in journal.files:
        return False  # another setup was faster
    if now != seen.before:
        raise CommandError(f"{path} was changed meanwhile.", "run `auth setup` again")
    return True


def _write(seen: FileChange, journal: Journal) -> None:
    path, known = seen.step.path, journal.files.get(seen.step.path)
    journal.remember_folders(path)
    mode = seen.step.mode if isinstance(seen.step, WholeFile) else 0o600
    entry = JournalEntry(
        seen.step.part,
        made=known.made if known else seen.before is None,
        over=seen.over,
        inserted=list(seen.inserted),
        digest=digest(seen.after) if isinstance(seen.step, WholeFile) else "",
    )
    journal.files[path] = entry
    journal.save()
    try:
        user_files.make_folders(path)
        user_files.write(path, seen.after, mode)
    except CommandError:
        if known is None:
            del journal.files[path]
        else:
            journal.files[path] = known
        journal.save()
        raise
    if isinstance(seen.step, WholeFile):
        user_files.set_mode(path, mode)


def undo(parts: Sequence[str], journal: Journal, outcome: SetupOutcome) -> None:
    """Remove insertions from the files of these parts, and remove the files that were created.

    A file that was changed since keeps its changes; insertions that cannot be told apart from them
    stay, and are refused with a reason. Raises CommandError if the journal fails.
    """
    # Settings before the files that they lead to: they must never lead to a missing file.
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


def _remove_folders(folders: Sequence[str], outcome: SetupOutcome) -> None:
    for folder in sorted(folders, key=len, reverse=True):
        _forget_compiled(folder)
        if os.path.isdir(folder) and user_files.remove_folder(folder):
            outcome.removed.append(folder)


def _check_that_nobody_needs(path: str, entry: JournalEntry, journal: Journal) -> None:
    for other, its in journal.files.items():
        if its.part == entry.part and not its.digest:
            raise CommandError(
                f"{path} stays, because {other} may lead there.",
                "remove the lines from that file, then `auth setup --undo` again",
            )


def _take_out(path: str, entry: JournalEntry, outcome: SetupOutcome) -> None:
    text = read_text(path)
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
                "remove them by hand",
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
    """Return whether some missing insertions are still there in a changed form."""
    said = {line.strip() for piece in missing for line in piece.splitlines() if "=" in line}
    left = {line.strip() for line in text.splitlines()}
    return bool(said & left or (any(map(str.strip, missing)) and "`auth setup`" in text))


def _forget_compiled(folder: str) -> None:
    """Remove Python's compiled copies of our module."""
    cache = f"{folder}/__pycache__"
    with suppress(OSError):
        for name in os.listdir(cache):
            if name.startswith("tokenward_keyring."):
                user_files.remove(f"{cache}/{name}")
        user_files.remove_folder(cache)
