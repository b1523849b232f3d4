"""Tell clients that wait at an address that it is not served, and why.

Without an answer, a service manager would see them wait and start one process after another.
"""

from __future__ import annotations

from tokenward_agent.failure import Failure
from tokenward_agent.wire.answer import failure_answer
from tokenward_protocol.frames import make_frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket


def turn_away(listener: socket.socket, sentence: str, hint: str) -> None:
    """Answer every client that waits now with `busy`, and close."""
    answer = make_frame(failure_answer(0, Failure("busy", sentence, hint)).header, b"")
    listener.setblocking(False)
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        with client:
            client.setblocking(False)
            try:
                client.send(answer)
            except OSError:
                continue
