"""What a service manager is told about an agent: sd_notify(3) of systemd.

A datagram of lines to the socket that ``NOTIFY_SOCKET`` names; where nobody asked for it, nothing
is told. No line ever holds more than that the agent serves, ends, and is locked or not.
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
    """Tells the manager that `environ` names, and takes the name out of it."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        address = environ.pop("NOTIFY_SOCKET", "")
        self._address = b"\0" + os.fsencode(address[1:]) if address[:1] == "@" else address
        self._status = ""

    @property
    def wanted(self) -> bool:
        """Whether a manager asked to be told."""
        return bool(self._address)

    def tell(self, *lines: str) -> None:
        """Tell it; a manager that does not listen misses it."""
        if sys.platform == "win32" or not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            try:
                out.connect(self._address)
                out.send("\n".join(lines).encode())
            except OSError:
                return

    def status(self, text: str) -> None:
        """Tell in a word how the agent is, if it is another one than before."""
        if text != self._status:
            self._status = text
            self.tell(f"STATUS={text}")

    def reloading(self) -> None:
        """Tell that what `ready` will end has begun."""
        if sys.platform == "win32":
            return
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self.tell("RELOADING=1", f"MONOTONIC_USEC={microseconds}")

    def ready(self) -> None:
        """Tell that the agent serves."""
        self.tell("READY=1")
