"""Whether the folders above ours can be trusted: the rules, computed from what the caller reads.

A file is as safe as the folders above it: a user who can rename one of them can put another tree in
its place. So each entry on the path is checked, links one by one:

- it belongs to the user or to root. Inside a user namespace (user_namespaces(7)) the ids that exist
  only outside of it, root's among them, all show as the overflow id, which counts as root there;
- it is not writable for all users, unless its sticky bit protects the files of others;
- a folder that group 0 can write, with the user in that group, counts as root's, no matter which user
  owns it: the homes of containers that run under any user id (OpenShift) are like that.

For a group-writable folder `auth doctor` warns; it is not refused. A path that is not UTF-8 is
refused, since neither the wire nor settings can hold it.

Pure: `FolderTrust` gets the functions that read; the number of user ids in a namespace comes from the
content of /proc/PID/uid_map.
"""

from __future__ import annotations

import stat

from tokenward_protocol.light import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Protocol

    class _FileStatus(Protocol):  # the result of lstat(2) on an entry: inode(7)
        @property
        def st_mode(self) -> int: ...
        @property
        def st_uid(self) -> int: ...
        @property
        def st_gid(self) -> int: ...


ALL_IDS = 0xFFFFFFFF
"""The number outside of all user namespaces. The number itself, (uid_t) -1, is not a user's id."""


MAX_LINKS = 40  # the most links on one path, as in the kernel: path_resolution(7)
OWN_PLACES = (
    "set HOME, or TOKENWARD_DIR and the XDG_* variables, to directories of your own"
    " (`sudo -H` does that for root)"
)


def user_id(text: str) -> int:
    """Return the user id in a text. Raises ValueError."""
    if text.isascii() and text.isdigit() and len(text) <= len(str(ALL_IDS)):
        found = int(text)
        if found < ALL_IDS:
            return found
    raise ValueError("is not a user id")


def count_ids(uid_map: str) -> int:
    """Return the number of ids in a map. Raises ValueError, IndexError if it is not a map."""
    return sum(int(line.split()[2]) for line in uid_map.splitlines())


def count_known_ids(uid_map: str | None) -> int:
    """Return how many ids there are by a map; `ALL_IDS` where there is none, as on other systems."""
    try:
        return ALL_IDS if uid_map is None else count_ids(uid_map)
    except (ValueError, IndexError):
        return ALL_IDS


class Objection(Record):
    """Why nothing may be kept there: a sentence without its full stop, and a hint."""

    sentence: str
    hint: str


class Identity(Record):
    """The user: `mapped` is the number of ids in their user namespace, `overflow` stands for the others."""

    uid: int
    groups: frozenset[int]
    mapped: int = ALL_IDS
    overflow: int = 65534

    @property
    def is_nobody(self) -> bool:
        """Whether this is the overflow id, which stands for all users without an id here."""
        return self.mapped < ALL_IDS and self.uid == self.overflow

    def trusts(self, owner: int) -> bool:
        """Tell whether the files of `owner` can be trusted."""
        outside = self.mapped < ALL_IDS and owner == self.overflow
        return owner in {self.uid, 0} or outside


class FolderTrust:
    """The folders above paths on one system, as `who` sees them."""

    def __init__(
        self, who: Identity, lstat: Callable[[str], _FileStatus], readlink: Callable[[str], str]
    ) -> None:
        self._who = who
        self._lstat = lstat
        self._readlink = readlink

    def objection(self, path: str) -> Objection | None:
        """Return why nothing of ours may lie at an absolute path, None if it may."""
        if not is_text(path):
            return Objection(
                f"The path {printable(path)} is not valid UTF-8",
                "rename it, or set HOME, TOKENWARD_DIR or the XDG_* variables to another one",
            )
        if self._who.is_nobody:
            return Objection(
                f"The user id {self._who.uid} stands for every user without an id in this user"
                " namespace",
                "give yourself an id there: `unshare --map-current-user`",
            )
        for place, found in self.ancestors(path):
            if problem := self._judge(place, found):
                return problem
        return None

    def group_writable(self, path: str) -> list[str]:
        """Return the group-writable folders above a path."""
        return [
            place
            for place, found in self.ancestors(path)
            if stat.S_ISDIR(found.st_mode) and found.st_mode & 0o1020 == 0o020
        ]

    def ancestors(self, path: str) -> Iterator[tuple[str, _FileStatus]]:
        """Yield the existing entries above a path, links included."""
        yield from self._walk(path.rpartition("/")[0].split("/"))

    def _walk(self, names: list[str]) -> Iterator[tuple[str, _FileStatus]]:
        here, links = "", 0
        while True:
            try:
                found = self._lstat(here or "/")
            except OSError:
                return
            yield here or "/", found
            if stat.S_ISLNK(found.st_mode):
                links += 1
                if links > MAX_LINKS:
                    return
                try:
                    target = self._readlink(here)
                except OSError:
                    return
                here = "" if target.startswith("/") else here.rpartition("/")[0]
                names = target.split("/") + names
            while names and names[0] in {"", "."}:
                del names[0]
            if not names:
                return
            name = names.pop(0)
            here = here.rpartition("/")[0] if name == ".." else f"{here}/{name}"

    def _judge(self, place: str, found: _FileStatus) -> Objection | None:
        if not (self._who.trusts(found.st_uid) or self._is_of_roots_group(found)):
            return Objection(
                f"{place} belongs to another user (uid {found.st_uid}), so nothing of yours is kept"
                " below it",
                OWN_PLACES,
            )
        if stat.S_ISDIR(found.st_mode) and found.st_mode & 0o1002 == 0o002:
            return Objection(
                f"All users can write in {place}, so any of them could replace what lies below it",
                f"`chmod o-w {place}`, as root if it is root's; until then {OWN_PLACES}",
            )
        return None

    def _is_of_roots_group(self, found: _FileStatus) -> bool:
        writable = found.st_gid == 0 and found.st_mode & 0o020
        return bool(writable) and self._who.uid != 0 and 0 in self._who.groups


def is_text(path: str) -> bool:
    """Tell whether a path is valid UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(path: str) -> str:
    """Return a path in printable form, whatever it contains."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
