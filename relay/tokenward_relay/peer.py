"""The user id of a local TCP connection's other end, from the kernel (sock_diag(7)).

Every user of the machine can reach a loopback port, so the relay closes the connections of others
before it reads a byte. The capability is enough alone: where the kernel does not tell the user id
(another network namespace, a sandbox without netlink), the answer is None.
"""

from __future__ import annotations

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
_UID: Final = 16 + 4 + 48 + 12
"""Offset of idiag_uid: behind nlmsghdr, four bytes, the socket's id, and three counters."""


def peer_uid(connection: socket.socket) -> int | None:
    """Return the user id of the process at the other end, None if it is not known."""
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
    if len(answer) < _UID + 4 or struct.unpack_from("=H", answer, 4)[0] != _BY_FAMILY:
        return None
    return int(struct.unpack_from("=I", answer, _UID)[0])
