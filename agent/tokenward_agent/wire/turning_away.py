"""Tell clients that wait at an address that it is not served, and why.

Without an answer, a service manager would see them wait and start one process after another.
"""

from __future__ import annotations

from tokenward_agent.failure import Failure
from tokenward_agent.wire.answer import not_done
from tokenward_protocol.frames import frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket


def turn_away(listener: socket.socket, sentence: str, hint: str) -> None:
    """Answer every client that waits now with `busy`, and close."""
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
