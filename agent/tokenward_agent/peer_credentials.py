"""What the kernel says of the process at the other end of a Unix socket.

The numbers by which a kernel is asked differ between architectures, so they are the platform's own,
where Python has them. It refuses to guess: an answer of another length is of another question, and
is an OSError. Imports nothing that takes time.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_UCRED: Final = struct.Struct("=iII")  # struct ucred of Linux: pid, uid, gid
_XUCRED: Final = struct.Struct(
    "@IIh66x"
)  # struct xucred of macOS: version, uid, groups; sys/ucred.h
_LOCAL_PEERCRED: Final = getattr(socket, "LOCAL_PEERCRED", 1)  # at SOL_LOCAL 0; one for every Mac


def pid_and_uid(connection: socket.socket) -> tuple[int, int]:
    """Return process id and effective user id as of when they connected, on Linux. Raises OSError."""
    if sys.platform != "linux":
        raise NotImplementedError  # type checkers read the rest for Linux alone
    pid, uid, _ = _UCRED.unpack(
        _answer(connection, socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    )
    return pid, uid


def uid_of(connection: socket.socket) -> int:
    """Return the effective user id as of when they connected. Raises OSError."""
    if sys.platform == "darwin":
        answer = _answer(connection, 0, _LOCAL_PEERCRED, _XUCRED.size)
        version, uid, _ = _XUCRED.unpack(answer)
        if version:
            raise _unknown()
        return int(uid)
    return pid_and_uid(connection)[1]


def number(connection: socket.socket, level: int, option: int) -> int:
    """Return what the kernel says in one `int`. Raises OSError."""
    return int.from_bytes(_answer(connection, level, option, 4), sys.byteorder)


def _answer(connection: socket.socket, level: int, option: int, size: int) -> bytes:
    found = connection.getsockopt(level, option, size)
    if len(found) != size:
        raise _unknown()
    return found


def _unknown() -> OSError:
    return OSError(errno.EPROTO, "the system does not say who is at the other end")
