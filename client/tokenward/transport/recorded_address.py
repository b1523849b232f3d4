"""Where the agent of a credentials directory says that it is, whatever environment it was started in.

It writes its address into the directory's state folder while it holds a lock on that file
(docs/PROTOCOL.md, "Transport and who may speak"). What stands there is believed as little as any
other address: the file has to be the user's own and closed to others, and whoever connects looks at
the socket's owner and at the server's user id.
"""

from __future__ import annotations

import os
import stat
import sys

from tokenward_os import host
from tokenward_os.files import SAFE, uid
from tokenward_protocol import places

MOST = 4096
"""Bytes that a record may have: a socket's path is shorter."""


def address(state_folder: str) -> str | None:
    """Return the address that the agent of this host has recorded, there or not by now."""
    if sys.platform == "win32":
        return None  # the name of its pipe depends on no variable
    try:
        file = os.open(f"{state_folder}/{name()}", os.O_RDONLY | SAFE)
    except OSError:
        return None
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != uid() or found.st_mode & 0o022:
            return None
        text = os.read(file, MOST).decode()
    except (OSError, UnicodeError):
        return None
    finally:
        os.close(file)
    path, end, _ = text.partition("\n")
    return path if end and os.path.isabs(path) and "\0" not in path else None


def name() -> str:
    """Return the name of the record of this host."""
    if sys.platform == "win32":
        raise NotImplementedError
    return places.record_name(*host.marks())
