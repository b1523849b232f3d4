"""Notices to a service manager about an agent: sd_notify(3) of systemd.

A notice is a datagram of lines, sent to the socket that ``NOTIFY_SOCKET`` names; without that
variable nothing is sent. Lines only ever say that the agent serves, ends, and is locked or not.
"""

from __future__ import annotations

import os
import socket
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping


class Notices:
    """Notifies the manager that `environ` names, and removes the name from `environ`."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        address = environ.pop("NOTIFY_SOCKET", "")
        self._address = b"\0" + os.fsencode(address[1:]) if address[:1] == "@" else address
        self._status = ""

    @property
    def is_wanted(self) -> bool:
        """Whether a manager asked for notices."""
        return bool(self._address)

    def send(self, *lines: str) -> None:
        """Send a notice; a manager that does not listen misses it."""
        if sys.platform == "win32" or not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            try:
                out.connect(self._address)
                out.send("\n".join(lines).encode())
            except OSError:
                return

    def send_status(self, text: str) -> None:
        """Send the state of the agent in a word, if it changed."""
        if text != self._status:
            self._status = text
            self.send(f"STATUS={text}")

    def send_reloading(self) -> None:
        """Say that a reload has begun, which `send_ready` will end."""
        if sys.platform == "win32":
            return
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self.send("RELOADING=1", f"MONOTONIC_USEC={microseconds}")

    def send_ready(self) -> None:
        """Say that the agent serves."""
        self.send("READY=1")
