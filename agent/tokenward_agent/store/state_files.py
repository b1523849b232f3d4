"""The small files of the state folder: read without waiting, replaced as a whole.

They are read on the loop, so nothing may make that wait: what is no plain file (a FIFO above all)
is refused, no link is followed, and no more is read than a file of ours can hold. A new one is
complete and on the disk before it gets the name, and the folder is, before `replace` returns.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat

from tokenward_agent.files import opened, sync_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

MAX_SIZE: Final = 16 << 20
"""Bytes of the largest file that is read; tombstones of ten thousand credentials take one MiB."""


def open_plain(path: str) -> int:
    """Open a file for reading. Raises OSError, also where it is a link or no plain file."""
    file = opened(path, os.O_RDONLY)
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    raise OSError(errno.EINVAL, "it is not a plain file")


def read_object(path: str) -> dict[str, object]:
    """Return the JSON object of a file; an empty one where there is none to be read."""
    try:
        with open(open_plain(path), "rb") as file:
            held = json.loads(file.read(MAX_SIZE))
    except (OSError, ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}


def replace(path: str, data: bytes | memoryview) -> None:
    """Put *data* in the file's place, closed to others. Raises OSError; then it is as it was."""
    put(path, data, lasting=True)


def put(path: str, data: bytes | memoryview, *, lasting: bool = False) -> None:
    """Do as `replace`, but wait for no disk unless it is to be `lasting`. Raises OSError."""
    fresh = f"{path}.{os.urandom(4).hex()}.tmp"
    try:
        _write(fresh, data, lasting=lasting)
        os.replace(fresh, path)
        if lasting:
            sync_folder(os.path.dirname(path))
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(fresh)
        raise


def _write(path: str, data: bytes | memoryview, *, lasting: bool) -> None:
    file = opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
        if lasting:
            os.fsync(file)
    finally:
        os.close(file)
