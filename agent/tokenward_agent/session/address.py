"""The address of a message bus: the sockets that it names.

Only Unix sockets count: the agent opens no network connection, whatever a variable says. Pure.
"""

from __future__ import annotations

import os
import re


def socket_paths(address: str) -> list[str]:
    """Return the Unix sockets of a bus's address, in order; other transports are left out.

    Source: the D-Bus specification, "Server Addresses".
    """
    found = []
    for each in address.split(";"):
        transport, _, rest = each.partition(":")
        values = dict(pair.split("=", 1) for pair in rest.split(",") if "=" in pair)
        for key, before in (("path", ""), ("abstract", "\0")):
            if transport == "unix" and key in values:
                found.append(before + _unescape(values[key]))
    return found


def _unescape(text: str) -> str:
    spelled = re.sub(rb"%([0-9A-Fa-f]{2})", lambda m: bytes([int(m[1], 16)]), os.fsencode(text))
    return os.fsdecode(spelled)
