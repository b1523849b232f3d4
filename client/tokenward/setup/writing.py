"""Files and folders of the user's own, as setup writes them: all of a file or nothing, mode kept.

A link is followed where the link and the file that it leads to are the user's; nothing of another
user is written, and no folder of others is made into ours.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from tokenward.errors import CommandError
from tokenward.replacing import replace, sync


def write(path: str, text: str, mode: int) -> None:
    """Put `text` there; `mode` is for a file that is not there yet. Raises CommandError."""
    target = os.path.realpath(path)
    try:
        kept = _mode_of_own(path, target)
        data = text.encode("utf-8", "surrogateescape")
        replace(target, data, mode=mode if kept is None else kept)
    except OSError as error:
        raise _failed(path, "written", error) from None


def set_mode(path: str, mode: int) -> None:
    """Give a file of ours its mode. Raises CommandError."""
    try:
        if stat.S_IMODE(os.stat(path).st_mode) != mode:
            os.chmod(path, mode)
    except OSError as error:
        raise _failed(path, "given its mode", error) from None


def remove(path: str) -> None:
    """Remove a file, if it is there. Raises CommandError."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _failed(path, "removed", error) from None
    sync(os.path.dirname(path))


def make_folder(path: str) -> None:
    """Make one folder that is nobody else's. Raises CommandError."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise _failed(path, "made", error) from None


def remove_folder(path: str) -> bool:
    """Remove a folder if it is empty; tell whether it is gone."""
    with suppress(OSError):
        os.rmdir(path)
    return not os.path.lexists(path)


def _mode_of_own(path: str, target: str) -> int | None:
    """Return the mode of what is there, None where nothing is. Raises CommandError, OSError."""
    for place in (path, target):
        try:
            found = os.lstat(place)
        except FileNotFoundError:
            if place == target and not os.path.islink(path):
                return None
            continue
        if found.st_uid != os.geteuid():
            raise CommandError(f"{place} belongs to another user.", f"`ls -l {place}`")
    found = os.lstat(target)
    if not stat.S_ISREG(found.st_mode):
        raise CommandError(f"{target} is no ordinary file.", f"`ls -l {target}`")
    return stat.S_IMODE(found.st_mode)


def _failed(path: str, done: str, error: OSError) -> CommandError:
    return CommandError(f"{path} cannot be {done}: {error.strerror}.", f"`ls -ld {path}`")
