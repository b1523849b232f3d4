"""Whether what we keep is closed to everybody else: directories 700, files 600, all of it ours.

Looked at by lstat, so that a link shows as one; nothing is opened and nothing is changed. So are the
folders above, by the rules that refuse a place (files/own_folders.py). What another user has put there is
to be moved away, and never made ours: only what is root's may be taken over. Also
found here: temporary files that a write which died left behind, which are no danger and no use.
"""

from __future__ import annotations

import os
import shlex
import stat
import sys

from tokenward.checks.finding import ok, problem, warning
from tokenward.files import own_folders
from tokenward.ui.formatting import counted, listed
from tokenward_os.files import open_to_others

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenward.checks.finding import Finding

STALE_SECONDS = 3600
"""Age past which a temporary file is nobody's any more: no save takes that long."""


def above(check: str, *paths: str) -> Iterator[Finding]:
    """Judge the folders above these paths."""
    if found := own_folders.objection(*paths):
        yield problem(check, f"{found.sentence}.", found.hint)
    elif shared := own_folders.group_writable(*paths):
        yield warning(
            check,
            f"A group can put something else in the place of what lies below {listed(shared)}.",
            f"`chmod g-w {shlex.join(shared)}`, unless the group is yours alone",
        )


def directory(check: str, path: str, uid: int) -> Iterator[Finding]:
    """Look at one directory and the files that lie directly in it."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        yield ok(check, f"{path} is not there yet.")
        return
    except OSError as error:
        yield problem(check, f"{path} cannot be looked at: {error.strerror}.", f"`ls -ld {path}`")
        return
    quoted = shlex.quote(path)
    if not stat.S_ISDIR(found.st_mode):
        yield problem(
            check, f"{path} is no directory.", f"move it away: `mv {quoted} {quoted}.old`"
        )
        return
    wrong = _wrong(check, path, found, uid, "700")
    if wrong:
        yield wrong
    try:
        entries = sorted(os.scandir(path), key=lambda each: each.name)
    except OSError as error:
        yield problem(check, f"{path} cannot be read: {error.strerror}.", f"`chmod 700 {quoted}`")
        return
    files = [entry for entry in entries if not entry.is_dir(follow_symlinks=False)]
    wrongs = [_file(check, entry, uid) for entry in files]
    yield from filter(None, wrongs)
    if not wrong and not any(wrongs):
        inside = f" and the {counted(len(files), 'file')} in it" if files else ""
        if sys.platform == "win32":
            yield ok(check, f"{path}{inside} can be opened by whoever can open the folder above.")
        else:
            yield ok(check, f"Nobody else can get at {path}{inside}.")


def _file(check: str, entry: os.DirEntry[str], uid: int) -> Finding | None:
    found = entry.stat(follow_symlinks=False)
    if stat.S_ISREG(found.st_mode) or stat.S_ISSOCK(found.st_mode):
        return _wrong(check, entry.path, found, uid, "600")
    return problem(
        check, f"{entry.path} is no ordinary file.", f"`ls -l {shlex.quote(entry.path)}`"
    )


def _wrong(check: str, path: str, found: os.stat_result, uid: int, mode: str) -> Finding | None:
    """Return what is wrong with the owner or the mode of `path`, None if nothing is."""
    if found.st_uid != uid:
        owner = f"belongs to the user with number {found.st_uid}"
        quoted = shlex.quote(path)
        if found.st_uid == 0:
            return problem(check, f"{path} {owner}.", f"`sudo chown {uid} {quoted}`")
        return problem(
            check,
            f"{path} {owner}, who can change what is in it.",
            f"use nothing that lies there; `sudo mv {quoted} {quoted}.theirs`",
        )
    if open_to_others(found.st_mode):
        is_open = f"is open to others (mode {stat.S_IMODE(found.st_mode):o})"
        return problem(check, f"{path} {is_open}.", f"`chmod {mode} {shlex.quote(path)}`")
    return None


def leftovers(paths: list[str], now: float) -> Finding:
    """Look for temporary files that are older than any write takes; `now` in seconds since 1970."""
    stale: list[str] = []
    for path in paths:
        try:
            with os.scandir(path) as entries:
                stale += [
                    entry.path
                    for entry in entries
                    if entry.name.endswith(".tmp")
                    and entry.stat(follow_symlinks=False).st_mtime < now - STALE_SECONDS
                ]
        except OSError:
            continue  # said above, or not there
    if stale:
        return warning(
            "leftovers",
            f"A write that died left {counted(len(stale), 'temporary file')} behind.",
            f"`rm {shlex.join(sorted(stale))}`",
        )
    return ok("leftovers", "No write that died left a temporary file behind.")
