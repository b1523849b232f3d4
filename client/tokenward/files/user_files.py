"""Files and folders of the user, as setup writes them: as a whole or not at all, with their mode.

A link is followed if the link and its target belong to the user; nothing of another user is
written, and no folder of another user is taken over.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import contextmanager, suppress

from tokenward.errors import CommandError
from tokenward.files import own_folders
from tokenward.files.atomic_write import replace, sync, unfinished_copies
from tokenward_os.files import missing, open_to_others, uid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def write(path: str, text: str, mode: int) -> None:
    """Write `text`; `mode` is for a new file. Raises CommandError."""
    target = os.path.realpath(path)
    try:
        kept = _mode_of_own(path, target)
        data = text.encode("utf-8", "surrogateescape")
        replace(target, data, mode=mode if kept is None else kept)
    except OSError as error:
        raise _error_of(path, "written", error) from None


def set_mode(path: str, mode: int) -> None:
    """Set the mode of a file of ours. Raises CommandError."""
    try:
        if stat.S_IMODE(os.stat(path).st_mode) != mode:
            os.chmod(path, mode)
    except OSError as error:
        raise _error_of(path, "given its mode", error) from None


def remove(path: str) -> None:
    """Remove a file, if it exists. Raises CommandError."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _error_of(path, "removed", error) from None
    sync(os.path.dirname(path))


def forget_unfinished(path: str) -> None:
    """Remove the temporary files that killed setups left beside a file. Raises CommandError."""
    for left in unfinished_copies(os.path.realpath(path)):
        remove(left)


def missing_folders(path: str) -> list[str]:
    """Return the missing folders above a file, the highest first."""
    return missing(os.path.dirname(path))


def make_folders(path: str) -> None:
    """Make the folders above a file, closed to other users. Raises CommandError."""
    folder = os.path.dirname(path)
    try:
        own_folders.make(folder)
    except OSError as error:
        raise _error_of(error.filename or folder, "made", error) from None


def make_private(folder: str, names: set[str] | None = None) -> None:
    """Close a folder of the user, if it exists, to other users. Raises CommandError.

    Also raised if it belongs to another user, or holds anything but `names`.
    """
    try:
        found = os.lstat(folder)
        if found.st_uid != uid() or not stat.S_ISDIR(found.st_mode):
            raise CommandError(f"{folder} is not a folder of yours.", f"`ls -ld {folder}`")
        if open_to_others(found.st_mode):
            os.chmod(folder, 0o700)
        others = names is not None and {*os.listdir(folder)} - names
    except FileNotFoundError:
        return
    except OSError as error:
        raise _error_of(folder, "closed to other users", error) from None
    if others:
        raise CommandError(
            f"{folder} holds more than the files of `auth setup`.",
            f"tools would load those too; look at `ls -la {folder}` and move them away",
        )


@contextmanager
def lock_folder(folder: str) -> Iterator[None]:
    """Make a folder, and keep other setups out of it meanwhile. Raises CommandError.

    The folder itself is locked, so no lock file is left; on a file system that cannot lock folders
    there is no waiting.
    """
    if sys.platform == "win32":  # it cannot lock folders
        make_folders(f"{folder}/")
        yield
        return
    descriptor = _lock(folder)
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(folder: str) -> int:
    if sys.platform == "win32":
        raise NotImplementedError
    import fcntl

    while True:
        make_folders(f"{folder}/")
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise _error_of(folder, "opened", error) from None
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        with suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), os.stat(folder)):
                return descriptor
        os.close(descriptor)  # the other setup has removed it


def remove_folder(path: str) -> bool:
    """Remove a folder if it is empty; return whether it is gone."""
    with suppress(OSError):
        os.rmdir(path)
    return not os.path.lexists(path)


def _mode_of_own(path: str, target: str) -> int | None:
    """Return the mode of an existing file, else None. Raises CommandError, OSError."""
    for place in (path, target):
        try:
            found = os.lstat(place)
        except FileNotFoundError:
            if place == target and not os.path.islink(path):
                return None
            continue
        if found.st_uid != uid():
            raise CommandError(f"{place} belongs to another user.", f"`ls -l {place}`")
    found = os.lstat(target)
    if not stat.S_ISREG(found.st_mode):
        raise CommandError(f"{target} is not an ordinary file.", f"`ls -l {target}`")
    return stat.S_IMODE(found.st_mode)


def _error_of(path: str, done: str, error: OSError) -> CommandError:
    return CommandError(f"{path} cannot be {done}: {error.strerror}.", f"`ls -ld {path}`")
