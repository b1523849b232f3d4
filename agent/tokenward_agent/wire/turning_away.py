"""Telling whoever waits at an address that it is not served, and why.

Without that a service manager, which sees them wait, would start one process after the other.
"""

from __future__ import annotations

from tokenward_agent.failure import Failure
from tokenward_agent.wire.answer import not_done
from tokenward_protocol.frames import frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket


def turn_away(listener: socket.socket, sentence: str, hint: str) -> None:
    """Answer everybody who waits now with `busy`, and hang up."""
    answer = frame(not_done(0, Failure("busy", sentence, hint)).header, b"")
    listener.setblocking(False)
    while True:
        try:
            asker, _ = listener.accept()
        except OSError:
            return
        with asker:
            asker.setblocking(False)
            try:
                asker.send(answer)
            except OSError:
                continue
