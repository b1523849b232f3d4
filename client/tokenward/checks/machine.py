"""This machine: our files, swap, and files of this installation that make `auth` start slowly.

Our directories (700) and files (600) have to be ours, and closed to other users. lstat looks at
them, so a link shows as one; nothing is opened or changed. The folders above are judged by the rules
that refuse a place (files/own_folders.py). The user is told to move away what another user put
there, never to take it over; only root's files may be taken over. Temporary files of a write that
died are reported, too: they are harmless and useless. The rest judges texts that the caller has
read: /proc/swaps, `.pth` files, a console script.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
import sys

from tokenward.checks import ok, problem, warning
from tokenward.files import own_folders
from tokenward.ui.formatting import count_of, join_words
from tokenward_os.files import open_to_others

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tokenward.checks import Finding


def swap(swaps: str, encrypted: Callable[[str], bool]) -> Finding:
    """Judge /proc/swaps (proc(5)); `encrypted` says whether a device is encrypted."""
    spaces = [line.split()[0] for line in swaps.splitlines()[1:] if line.strip()]
    on_disk = [space for space in spaces if not space.startswith("/dev/zram")]
    open_ = [space for space in on_disk if not encrypted(space)]
    if not on_disk:
        return ok("swap", "No swap is on a disk.")
    if not open_:
        return ok("swap", f"The swap on {join_words(on_disk)} is encrypted.")
    return warning(
        "swap",
        f"Swap on {join_words(open_)} is not known to be encrypted: the agent's locked memory is never"
        " there, but a tool's memory may be.",
        f"encrypt it (crypttab), or `sudo swapoff {open_[0]}`",
    )


def is_encrypted(device: str, sys: str = "/sys") -> bool:
    """Return whether a block device is known to be encrypted by dm-crypt."""
    name = os.path.basename(os.path.realpath(device))
    try:
        with open(f"{sys}/class/block/{name}/dm/uuid", encoding="ascii") as file:
            return file.read().startswith("CRYPT-")
    except (OSError, ValueError):
        return False


def slow_start(files: Mapping[str, str]) -> Finding:
    """Judge `.pth` files (path to text): a line that begins with `import` runs at each start."""
    slow = sorted(path for path, text in files.items() if re.search(r"(?m)^import[ \t]", text))
    if not slow:
        return ok("start-up", "No .pth file runs code when `auth` starts.")
    return warning(
        "start-up",
        f"Code in {join_words(slow)} runs each time `auth` starts.",
        "give tokenward an environment of its own: `uv tool install tokenward`",
    )


def wrapper(path: str, text: str) -> Iterator[Finding]:
    """Judge the console script: an older pip's imports `re`, a third of the start-up time."""
    if re.search(r"(?m)^import re$", text):
        yield warning(
            "start-up",
            f"{path} was written by an older pip and starts slowly.",
            "`pip install --upgrade pip`, then install tokenward again",
        )


def pth_files(folders: list[str]) -> Iterator[tuple[str, str]]:
    """Yield path and text of each `.pth` file; an unreadable one does not run either."""
    for folder in dict.fromkeys(folders):
        try:
            names = sorted(name for name in os.listdir(folder) if name.endswith(".pth"))
        except OSError:
            continue
        for name in names:
            path = os.path.join(folder, name)
            try:
                with open(path, encoding="utf-8", errors="replace") as file:
                    yield path, file.read()
            except OSError:
                continue


STALE_SECONDS = 3600
"""The age in seconds from which a temporary file is abandoned: no save takes that long."""


def check_above(check: str, *paths: str) -> Iterator[Finding]:
    """Judge the folders above these paths."""
    if found := own_folders.objection(*paths):
        yield problem(check, f"{found.sentence}.", found.hint)
    elif shared := own_folders.group_writable(*paths):
        yield warning(
            check,
            f"A group can replace what lies below {join_words(shared)}.",
            f"`chmod g-w {shlex.join(shared)}`, unless the group is yours alone",
        )


def check_directory(check: str, path: str, uid: int) -> Iterator[Finding]:
    """Judge one directory and the files directly in it."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        yield ok(check, f"{path} does not exist yet.")
        return
    except OSError as error:
        yield problem(check, f"{path} cannot be examined: {error.strerror}.", f"`ls -ld {path}`")
        return
    quoted = shlex.quote(path)
    if not stat.S_ISDIR(found.st_mode):
        yield problem(
            check, f"{path} is not a directory.", f"move it away: `mv {quoted} {quoted}.old`"
        )
        return
    wrong = _check_access(check, path, found, uid, "700")
    if wrong:
        yield wrong
    try:
        entries = sorted(os.scandir(path), key=lambda each: each.name)
    except OSError as error:
        yield problem(check, f"{path} cannot be read: {error.strerror}.", f"`chmod 700 {quoted}`")
        return
    files = [entry for entry in entries if not entry.is_dir(follow_symlinks=False)]
    wrongs = [_check_file(check, entry, uid) for entry in files]
    yield from filter(None, wrongs)
    if not wrong and not any(wrongs):
        inside = f" and the {count_of(len(files), 'file')} in it" if files else ""
        if sys.platform == "win32":
            yield ok(check, f"{path}{inside} can be opened by users who can open the folder above.")
        else:
            yield ok(check, f"Other users cannot open {path}{inside}.")


def _check_file(check: str, entry: os.DirEntry[str], uid: int) -> Finding | None:
    found = entry.stat(follow_symlinks=False)
    if stat.S_ISREG(found.st_mode) or stat.S_ISSOCK(found.st_mode):
        return _check_access(check, entry.path, found, uid, "600")
    return problem(
        check, f"{entry.path} is not an ordinary file.", f"`ls -l {shlex.quote(entry.path)}`"
    )


def _check_access(
    check: str, path: str, found: os.stat_result, uid: int, mode: str
) -> Finding | None:
    """Return the finding about the owner or the mode of `path`, or None."""
    if found.st_uid != uid:
        owner = f"belongs to the user with number {found.st_uid}"
        quoted = shlex.quote(path)
        if found.st_uid == 0:
            return problem(check, f"{path} {owner}.", f"`sudo chown {uid} {quoted}`")
        return problem(
            check,
            f"{path} {owner}, who can change its contents.",
            f"use nothing that lies there; `sudo mv {quoted} {quoted}.theirs`",
        )
    if open_to_others(found.st_mode):
        is_open = f"is open to other users (mode {stat.S_IMODE(found.st_mode):o})"
        return problem(check, f"{path} {is_open}.", f"`chmod {mode} {shlex.quote(path)}`")
    return None


def check_leftovers(paths: list[str], now: float) -> Finding:
    """Report temporary files older than any write takes; `now` in seconds since 1970."""
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
            continue  # reported above, or missing
    if stale:
        return warning(
            "leftovers",
            f"An interrupted write left {count_of(len(stale), 'temporary file')} behind.",
            f"`rm {shlex.join(sorted(stale))}`",
        )
    return ok("leftovers", "No interrupted write left a temporary file behind.")
