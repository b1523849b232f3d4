"""The kernel's answers about the peer of a Unix socket.

The user id is the one at the time of connecting; a peer that gives up privileges later keeps it. The
options' numbers differ between architectures, so they come from Python where it has them. Refuses to
guess: an answer of an unexpected length belongs to another option and is an OSError, and a peer whose
uid is not known is not admitted. Imports nothing that takes time.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from typing import Final

_UCRED: Final = struct.Struct("=iII")  # struct ucred of Linux: pid, uid, gid
_XUCRED: Final = struct.Struct("@IIh66x")  # xucred of macOS: version, uid, groups; sys/ucred.h
_LOCAL_PEERCRED: Final = getattr(socket, "LOCAL_PEERCRED", 1)  # at SOL_LOCAL 0; same on every Mac


def pid_and_uid(connection: socket.socket) -> tuple[int, int]:
    """Return the peer's process id and effective user id at connect, on Linux. Raises OSError."""
    if sys.platform != "linux":
        raise NotImplementedError  # type checkers check the rest for Linux only
    found = _read_option(connection, socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, _ = _UCRED.unpack(found)
    return pid, uid


def uid_of(connection: socket.socket) -> int:
    """Return the peer's effective user id at connect. Raises OSError."""
    if sys.platform == "win32":
        return 0  # only the user that `files.uid` stands for can open the pipe
    if sys.platform == "darwin":
        version, uid, _ = _XUCRED.unpack(_read_option(connection, 0, _LOCAL_PEERCRED, _XUCRED.size))
        if version:
            raise _unknown_error()
        return int(uid)
    return pid_and_uid(connection)[1]


def socket_option(connection: socket.socket, level: int, option: int) -> int:
    """Return an option's value, one `int`. Raises OSError."""
    return int.from_bytes(_read_option(connection, level, option, 4), sys.byteorder)


def _read_option(connection: socket.socket, level: int, option: int, size: int) -> bytes:
    found = connection.getsockopt(level, option, size)
    if len(found) != size:
        raise _unknown_error()
    return found


def _unknown_error() -> OSError:
    return OSError(errno.EPROTO, "the system does not identify the peer")
