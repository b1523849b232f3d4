"""Replacing a file as a whole: a reader finds the old one or the new one, never a mixture.

The new file is made beside the old one, closed to other users until it is complete, and is on the
disk before it takes the name. After a failure the old file is unchanged and nothing is left behind.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from tokenward_os.files import CLOSED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def replace(
    path: str,
    data: bytes,
    *,
    mode: int = 0o600,
    group: int | None = None,
    before: Callable[[], None] = lambda: None,
) -> None:
    """Make `path`, which must not be a link, hold `data`. Raises OSError.

    `mode` and `group` are those of the new file; `before` is called just before the last step, and
    may raise to keep the old file.
    """
    folder, name = os.path.split(path)
    temporary = f"{folder or os.curdir}/.{name}.{os.urandom(8).hex()}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | CLOSED
    file = os.open(temporary, flags, 0o600)
    try:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(file, rest) :]
            if sys.platform != "win32":
                if group is not None and os.fstat(file).st_gid != group:
                    os.fchown(file, -1, group)
                os.fchmod(file, mode)
            os.fsync(file)
        finally:
            os.close(file)
        before()
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    sync(folder)


def unfinished_copies(path: str) -> list[str]:
    """Return temporary files from replacing a file, by killed processes or by running ones."""
    folder, name = os.path.split(path)
    with suppress(OSError):
        return [f"{folder}/{each}" for each in os.listdir(folder) if _is_temporary(each, name)]
    return []


def _is_temporary(name: str, of: str) -> bool:
    middle = name.removeprefix(f".{of}.").removesuffix(".tmp")
    return name == f".{of}.{middle}.tmp" and len(middle) == 16 and middle.isalnum()


def sync(folder: str) -> None:
    """Write the folder's new entry to the disk, if the system can do that."""
    if sys.platform == "win32":
        return  # Windows keeps a journal of its folders, and has no call for one
    with suppress(OSError):
        directory = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
