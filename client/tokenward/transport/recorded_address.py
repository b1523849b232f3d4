"""The recorded address of a credentials directory's agent, which may run in another environment.

The agent writes its address into the directory's state folder while it holds a lock on that file
(docs/PROTOCOL.md, "Transport and who may speak"). It is trusted as little as any other address: the
file has to be the user's own and closed to other users, and the client checks the socket's owner
and the server's user id.
"""

from __future__ import annotations

import os
import stat
import sys

from tokenward_os import user
from tokenward_os.files import SAFE, uid
from tokenward_protocol import places

MOST = 4096
"""The maximum length of a record in bytes: a socket's path is shorter."""


def recorded_address(state_folder: str) -> str | None:
    """Return the recorded address of this host's agent, which may be gone by now, or None."""
    if sys.platform == "win32":
        return None  # the name of its pipe depends on no variable
    try:
        file = os.open(f"{state_folder}/{host_record_name()}", os.O_RDONLY | SAFE)
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


def host_record_name() -> str:
    """Return the name of this host's record."""
    if sys.platform == "win32":
        raise NotImplementedError
    return places.record_name(*user.marks())
