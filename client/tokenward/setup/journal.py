"""What setup wrote where: `setup.json` in the state directory, mode 0600.

    {"version": 1,
     "files": {"/home/u/.config/uv/uv.toml":
                 {"part": "uv", "made": false, "over": false, "inserted": ["..."], "digest": ""}},
     "folders": ["/home/u/.config/uv"]}

`inserted` holds our own lines, `digest` the SHA-256 of a file that is entirely ours; no text of
other authors, so no secret either. The journal is written before the files and folders that it
lists: after a killed setup some of them are missing, which is harmless.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager

from tokenward.errors import CommandError
from tokenward.files import user_files
from tokenward.files.atomic_write import unfinished_copies
from tokenward.files.reading import read
from tokenward_protocol.light import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any


class JournalEntry(Record):
    """What was done to one file; `made` is true if setup created it."""

    part: str
    made: bool = False
    over: bool = False
    inserted: Sequence[str] = ()
    digest: str = ""


def parts(state: str) -> list[str]:
    """Return the parts that are set up, or [] if the journal cannot be read."""
    try:
        return list(dict.fromkeys(entry.part for entry in Journal(state).files.values()))
    except CommandError:
        return []


class Journal:
    """The files that setup wrote, and the folders that it made for them."""

    def __init__(self, state: str) -> None:
        self.path = f"{state}/setup.json"
        self.files: dict[str, JournalEntry] = {}
        self.folders: list[str] = []
        if (data := read(self.path)) is not None:
            self._load(data)

    def _load(self, data: bytes) -> None:
        try:
            found = json.loads(data)
            if found["version"] == 1:
                self.files = {_path(path): _entry(it) for path, it in found["files"].items()}
                self.folders = [_path(folder) for folder in found["folders"]]
                return
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass
        raise CommandError(
            f"{self.path} is not a journal that this version can read.",
            "move it away; `auth setup` then begins a new one",
        )

    def save(self) -> None:
        """Write the journal, or remove it if it is empty. Raises CommandError."""
        if not self.files and not self.folders:
            user_files.remove(self.path)
            return
        files = {
            path: {key: getattr(entry, key) for key in JournalEntry.__annotations__}
            for path, entry in self.files.items()
        }
        text = json.dumps({"version": 1, "files": files, "folders": self.folders}, indent=1)
        user_files.write(self.path, f"{text}\n", 0o600)

    def remember_folders(self, path: str) -> None:
        """Record the missing folders above a file, before they are made."""
        missing = user_files.missing_folders(path)
        self.folders += [folder for folder in missing if folder not in self.folders]


def is_there(state: str) -> bool:
    """Return whether there is a journal, or the remains of a setup that was killed early."""
    path = f"{state}/setup.json"
    return os.path.lexists(path) or bool(unfinished_copies(path))


@contextmanager
def lock(state: str) -> Iterator[Journal]:
    """Read the journal, and keep other setups out meanwhile. Raises CommandError."""
    missing = user_files.missing_folders(f"{state}/setup.json")
    with user_files.lock_folder(state):
        journal = Journal(state)
        if missing:
            journal.folders += [folder for folder in missing if folder not in journal.folders]
            journal.save()
        yield journal


def _entry(found: dict[str, Any]) -> JournalEntry:
    """Parse an entry. Raises TypeError, also for wrong keys."""
    entry = JournalEntry(**found)
    kinds = (entry.part, str), (entry.made, bool), (entry.over, bool), (entry.digest, str)
    lines = entry.inserted if isinstance(entry.inserted, list | tuple) else [None]
    if not all(isinstance(value, kind) for value, kind in (*kinds, *((it, str) for it in lines))):
        raise TypeError
    return entry


def _path(found: object) -> str:
    """Return an absolute path that a file can have. Raises TypeError and ValueError."""
    if not isinstance(found, str) or not os.path.isabs(found) or b"\0" in os.fsencode(found):
        raise TypeError
    return found
