"""One connection of a tool: HTTP/1.1 over a socket, by h11.

What a tool sends is judged by head.py and form.py; this only moves events. An interim answer may
be sent by another thread while an upload waits, so sending takes a lock. Limits of time: a head is
complete within `HEAD_SECONDS` of its first byte, and a quiet connection ends.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time

import h11

from tokenward_relay.agent_link import TICK_SECONDS
from tokenward_relay.head import MAX_HEAD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    Event = h11.Request | h11.Data | h11.EndOfMessage | h11.ConnectionClosed

FRONT_SECONDS: Final = 5
"""Seconds for the first head, before the capability is shown."""

HEAD_SECONDS: Final = 30
IDLE_SECONDS: Final = 120
BODY_SECONDS: Final = 120
"""Seconds for a head, between two requests, and between two pieces of a body."""

_CHUNK: Final = 256 * 1024
_DRAIN_SECONDS: Final = 2.0


class ToolStream:
    """A tool's connection, or the TLS connection within it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._sending = threading.Lock()

    def read_head(self, idle: float, limit: float) -> h11.Request | None:
        """Return the next request's head, None if the tool has ended the connection.

        `idle` seconds may pass until its first byte, `limit` seconds until its last. Raises OSError
        and h11.RemoteProtocolError.
        """
        end: float | None = None if self.http.trailing_data[0] == b"" else time.monotonic() + limit
        while True:
            event = self.http.next_event()
            if isinstance(event, h11.Request):
                return event
            if event is not h11.NEED_DATA:
                return None
            left = idle if end is None else end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.sock.settimeout(left)
            self.http.receive_data(self.sock.recv(_CHUNK))
            if end is None:
                end = time.monotonic() + limit

    def body(self) -> Iterator[bytes]:
        """Yield the pieces of a request's body. Raises OSError and h11.RemoteProtocolError."""
        if self.http.they_are_waiting_for_100_continue:
            self.send(h11.InformationalResponse(status_code=100, headers=[]))
        self.sock.settimeout(BODY_SECONDS)
        while True:
            event = self.http.next_event()
            if isinstance(event, h11.Data):
                yield event.data
            elif event is h11.NEED_DATA:
                self.http.receive_data(self.sock.recv(_CHUNK))
            elif isinstance(event, h11.EndOfMessage):
                return
            else:
                raise ConnectionError("the tool ended the connection within a body")

    def send(self, event: h11.Event) -> None:
        """Send an event. Raises OSError."""
        with self._sending:
            self._send(event)

    def _send(self, event: h11.Event) -> None:
        data = self.http.send(event)
        if data:
            self.sock.settimeout(BODY_SECONDS)
            self.sock.sendall(data)

    def send_tick(self) -> None:
        """Send an interim answer, which keeps a waiting tool from giving up. Raises OSError.

        A tool that speaks HTTP/1.0 gets none: it would take it for the answer.
        """
        with self._sending:  # another thread may begin the answer
            if self.http.their_http_version == b"1.1" and self.http.our_state is h11.SEND_RESPONSE:
                self._send(h11.InformationalResponse(status_code=100, headers=[]))

    @contextlib.contextmanager
    def ticking(self) -> Iterator[threading.Event]:
        """Send interim answers from another thread, until the event is set or the block ends."""
        stop = threading.Event()

        def tick() -> None:
            while not stop.wait(TICK_SECONDS):
                with contextlib.suppress(OSError, h11.LocalProtocolError):
                    self.send_tick()

        thread = threading.Thread(target=tick, daemon=True)
        thread.start()
        try:
            yield stop
        finally:
            stop.set()
            thread.join()

    def has_hung_up(self) -> bool:
        """Tell whether the tool ended the connection, or sent more than its request."""
        if self.http.trailing_data[0]:
            return True
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
            return True
        return bool(select.select([self.sock], [], [], 0)[0])

    def drain(self) -> None:
        """Read what the tool still sends, for a moment, so that it reads our answer."""
        end = time.monotonic() + _DRAIN_SECONDS
        with contextlib.suppress(OSError):
            # Below TLS, too: SSLSocket's own would read what follows as plain bytes.
            socket.socket.shutdown(self.sock, socket.SHUT_WR)
            while (left := end - time.monotonic()) > 0:
                self.sock.settimeout(left)
                if not self.sock.recv(_CHUNK):
                    return
