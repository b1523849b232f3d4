"""The user id of a local TCP connection's other end, from the kernel (sock_diag(7)).

Every user of the machine can reach a loopback port, so the relay closes the connections of others
before it reads a byte. The capability is enough alone: where the kernel tells nothing of sockets (a
sandbox without netlink), the answer is None.

A socket that no process has open any more has no user: the kernel says 0 of it, which is root's, or
does not find it. What such a process has left to read came from an unknown user.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_SOCK_DIAG: Final = 4  # NETLINK_SOCK_DIAG of linux/netlink.h
_BY_FAMILY: Final = 20  # SOCK_DIAG_BY_FAMILY of linux/sock_diag.h
_REQUEST: Final = 1  # NLM_F_REQUEST
_ALL_STATES: Final = 0xFFFFFFFF
_ANY_COOKIE: Final = 0xFFFFFFFF
_ERROR: Final = 2  # NLMSG_ERROR
_UID: Final = 16 + 4 + 48 + 12
"""Offset of idiag_uid: behind nlmsghdr, four bytes, the socket's id, and three counters."""

NOBODY: Final = -1
"""The answer where the process at the other end has closed its socket."""


def peer_uid(connection: socket.socket) -> int | None:
    """Return the user id of the process at the other end, None if the kernel tells of no socket.

    NOBODY if that process is gone. Raises OSError if the connection is.
    """
    if sys.platform != "linux":
        return None
    host, port = connection.getpeername()[:2]
    own_host, own_port = connection.getsockname()[:2]
    ends = struct.pack("!HH", port, own_port)
    addresses = b"".join(socket.inet_aton(each).ljust(16, b"\0") for each in (host, own_host))
    identity = ends + addresses + struct.pack("=III", 0, _ANY_COOKIE, _ANY_COOKIE)
    body = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, _ALL_STATES) + identity
    header = struct.pack("=IHHII", 16 + len(body), _BY_FAMILY, _REQUEST, 1, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
            kernel.settimeout(1)
            kernel.send(header + body)
            answer = kernel.recv(4096)
    except OSError:
        return None
    (kind,) = struct.unpack_from("=H", answer, 4)
    if kind == _ERROR and -struct.unpack_from("=i", answer, 16)[0] == errno.ENOENT:
        return NOBODY
    if kind != _BY_FAMILY or len(answer) < _UID + 8:
        return None
    uid, inode = struct.unpack_from("=II", answer, _UID)
    return int(uid) if inode else NOBODY
