"""Folders of our own: judged before anything is made in them, and made closed to other users.

The rules are those of folder_trust.py. Code that is about to make or to trust something in a folder
calls `require` first, so that an unsafe place is refused before anything is there. Every folder
comes from `make`, which closes each one that it makes, those above included, whatever the umask.
`Memory` is a small file of texts in such a folder, which holds no secret.
"""

from __future__ import annotations

import os
import sys

from tokenward.errors import CommandError
from tokenward.files.reading import read
from tokenward_os import user
from tokenward_os.files import make_private, uid
from tokenward_protocol.folder_trust import FolderTrust, Identity, count_known_ids
from tokenward_protocol.light import parse_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward_protocol.folder_trust import Objection


class UnsafePlaceError(CommandError):
    """The place is unsafe, so nothing of ours is kept there."""


def folder_trust() -> FolderTrust:
    """Return the judge of paths, for this process' user. Not for Windows."""
    if sys.platform == "win32":
        raise NotImplementedError
    who = Identity(uid(), user.groups(), count_known_ids(user.uid_map()), user.overflow_uid())
    return FolderTrust(who, os.lstat, os.readlink)


def objection(*paths: str) -> Objection | None:
    """Return why none of our files may lie at one of these absolute paths, or None."""
    if sys.platform == "win32":
        return None
    judge = folder_trust()
    return next(filter(None, map(judge.objection, paths)), None)


def group_writable(*paths: str) -> list[str]:
    """Return the folders above these paths that a group can write in, each once."""
    if sys.platform == "win32":
        return []
    judge = folder_trust()
    return list(dict.fromkeys(place for path in paths for place in judge.group_writable(path)))


def require(*paths: str) -> None:
    """Raise UnsafePlaceError for an unsafe place."""
    if found := objection(*paths):
        raise UnsafePlaceError(f"{found.sentence}.", found.hint)


def make(path: str) -> None:
    """Make a folder and the missing ones above, closed to other users.

    Raises UnsafePlaceError, and OSError.
    """
    require(path)
    make_private(path)


class Memory:
    """The contents of `path`; its directory is made with the first write."""

    def __init__(self, path: str) -> None:
        self._path = path

    def load(self) -> dict[str, str]:
        """Return the contents; anything that is not as we write it is ignored."""
        try:
            known = parse_json((read(self._path) or b"{}").decode())
        except (ValueError, RecursionError):
            return {}
        if not isinstance(known, dict):
            return {}
        return {key: value for key, value in known.items() if isinstance(value, str)}

    def save(self, known: dict[str, str]) -> None:
        """Store exactly these. Raises CommandError if they cannot be written."""
        import json

        from tokenward.files.atomic_write import replace

        try:
            make(os.path.dirname(self._path))
            replace(self._path, json.dumps(known, indent=1, sort_keys=True).encode())
        except OSError as error:
            raise CommandError(f"{self._path} cannot be written: {error.strerror}.") from None
