"""The connections of a run: those of the relay's listener on loopback, and those that are passed to it.

Every connection has a thread. At most `MOST_WAITING` may be open that have not shown the capability
yet, far more than a tool opens at once: one more closes the oldest of them, so that a crowd that
shows nothing cannot stop the run. For the same reason nothing that a connection does, and no lack
of descriptors or threads, ends or delays the listener.
"""

from __future__ import annotations

import contextlib
import socket
import threading

from tokenward_relay.connection import Connection
from tokenward_relay.peer import peer_uid
from tokenward_relay.run_state import MOST_SERVED, MOST_TUNNELS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from tokenward_relay.run_state import RunState

MOST_WAITING: Final = 128
_STACK_BYTES: Final = 512 * 1024
_PAUSE_SECONDS: Final = 0.1


class Server:
    """Serves the connections to one run."""

    def __init__(self, run: RunState) -> None:
        threading.stack_size(_STACK_BYTES)
        self._run = run
        self._passed = threading.BoundedSemaphore(MOST_SERVED + MOST_TUNNELS)
        self._waiting: dict[socket.socket, None] = {}
        self._lock = threading.Lock()

    def serve(self, listener: socket.socket, uid: int) -> None:
        """Accept the connections of a user until the process ends."""
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:  # there is no descriptor: wait for one
                threading.Event().wait(_PAUSE_SECONDS)
                continue
            try:
                self._admit(sock, uid)
            except OSError:  # it has ended
                sock.close()

    def _admit(self, sock: socket.socket, uid: int) -> None:
        """Serve a connection, unless it is another user's. Raises OSError."""
        if peer_uid(sock) not in {None, uid}:
            sock.close()
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wait_for_capability(sock)
        try:
            threading.Thread(target=self._serve_one, args=(sock,), daemon=True).start()
        except RuntimeError:
            self._note_capability(sock)
            sock.close()

    def take(self, sock: socket.socket) -> None:
        """Serve a connection that was passed, for which the agent has seen the capability."""
        if not self._passed.acquire(blocking=False):
            sock.close()
            return
        try:
            threading.Thread(target=self._serve_passed, args=(sock,), daemon=True).start()
        except RuntimeError:  # there is no thread for it
            self._passed.release()
            sock.close()

    def _serve_passed(self, sock: socket.socket) -> None:
        try:
            Connection(self._run, sock, self._note_capability).serve()
        finally:
            self._passed.release()

    def _serve_one(self, sock: socket.socket) -> None:
        try:
            Connection(self._run, sock, self._note_capability).serve()
        finally:
            self._note_capability(sock)

    def _wait_for_capability(self, sock: socket.socket) -> None:
        with self._lock:
            if len(self._waiting) >= MOST_WAITING:
                oldest = next(iter(self._waiting))
                del self._waiting[oldest]
                with contextlib.suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)  # its own thread closes it
            self._waiting[sock] = None

    def _note_capability(self, sock: socket.socket) -> None:
        """Note that a connection has shown the capability, or has ended."""
        with self._lock:
            self._waiting.pop(sock, None)
