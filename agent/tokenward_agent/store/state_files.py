"""The small files of the state folder: read without blocking, replaced as a whole.

The loop reads them, so reading must not block: anything but a plain file (above all a FIFO) is
refused, links are not followed, and reading is bounded. A new file is complete and on the disk
before it gets the name, and the folder is on the disk before `replace` returns.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat

from tokenward_agent.files import open_file, sync_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

MAX_SIZE: Final = 16 << 20
"""Bytes of the largest file that is read; tombstones of ten thousand credentials take one MiB."""


def open_plain(path: str) -> int:
    """Open a file for reading. Raise OSError, also for a link or a file that is not plain."""
    file = open_file(path, os.O_RDONLY)
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    raise OSError(errno.EINVAL, "it is not a plain file")


def read_object(path: str) -> dict[str, object]:
    """Return the JSON object in a file, or {} if it has no object or cannot be read."""
    try:
        with open(open_plain(path), "rb") as file:
            held = json.loads(file.read(MAX_SIZE))
    except (OSError, ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}


def replace(path: str, data: bytes | memoryview) -> None:
    """Replace a file with *data*, closed to other users. Raise OSError; then it is unchanged."""
    write(path, data, lasting=True)


def write(path: str, data: bytes | memoryview, *, lasting: bool = False) -> None:
    """Do as `replace`, but flush to the disk only if `lasting`. Raise OSError."""
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
    file = open_file(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
        if lasting:
            os.fsync(file)
    finally:
        os.close(file)
