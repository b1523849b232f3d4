"""Accept connections: admission, limits, and the memory that all connections share.

The server accepts peers that a listener admits (listener.py), at most `MAX_CONNECTIONS` and no more
than file descriptors allow. Beyond that, or when the arena is full, the connection of the same
listener that was idle longest is closed, so a client that behaves is always answered. No listener
displaces connections of another: those besides the agent's own have a bounded share of connections
and memory, and when it is used up, new peers there are refused. The server does not know what
requests do: each listener has its dispatch.
"""

from __future__ import annotations

import asyncio
import errno
import select
import sys
from typing import TYPE_CHECKING

from tokenward_agent.arena import ArenaFull
from tokenward_agent.failure import Failure
from tokenward_agent.peer_credentials import uid_of
from tokenward_agent.system import descriptor_limit
from tokenward_agent.wire.answer import Answer, failure_answer
from tokenward_agent.wire.connection import Connection
from tokenward_agent.wire.listener import Listener, identify_nobody
from tokenward_protocol import WIRE_VERSION
from tokenward_protocol.frames import MAX_BODY, MAX_HEADER, PREFIX

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Coroutine

    from tokenward_agent.arena import Arena
    from tokenward_agent.wire.listener import Dispatch, IdentifyPeer
    from tokenward_agent.wire.request import BadRequest, Request

MAX_CONNECTIONS = 2048  # far more than a login session needs; each costs a descriptor and 1 KiB
RESERVED = 64  # descriptors left for saving vaults and for workers
BACKLOG = 32
"""Connections that wait in the kernel. Few, so that a client that floods the agent blocks in its
own `connect`, and others wait only briefly."""

GUESTS = 4  # one in so many connections may come through listeners other than the agent's own
GUEST_BYTES = 32 * 1024
"""Bytes of the arena for unfinished requests of another listener: a fetch is at most 8 KiB."""

_BATCH = 16
_INPUT = 64 * 1024
_OUT_OF_DESCRIPTORS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Server:
    """Serves its own listener, and those that are opened, until `close`."""

    def __init__(
        self,
        listener: socket.socket,
        arena: Arena,
        dispatch: Dispatch,
        meet: IdentifyPeer = identify_nobody,
    ) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.arena = arena
        self.input = arena.allocate(_INPUT)
        self.output = arena.allocate(PREFIX + MAX_HEADER + MAX_BODY)
        self._listeners: dict[
            Listener, dict[Connection, object]
        ] = {}  # with peers; the longest idle first
        self._connections: dict[Connection, tuple[Listener, dict[Connection, object]]] = {}
        self.came = 0  # connections accepted so far
        self._tasks: set[asyncio.Task[None]] = set()
        most = descriptor_limit()
        self._room = min(MAX_CONNECTIONS, most - min(RESERVED, most // 2))
        self._own = Listener(listener, dispatch, meet)
        self.add_listener(self._own)

    @property
    def has_connections(self) -> bool:
        """Whether a client is connected."""
        return bool(self._connections)

    def add_listener(self, listener: Listener) -> None:
        """Accept connections from one more listener."""
        listener.sock.setblocking(False)
        listener.sock.listen(BACKLOG)
        self._listeners[listener] = {}
        self.loop.add_reader(listener.sock.fileno(), self._acceptable, listener)

    def remove_listener(self, listener: Listener) -> None:
        """Close a listener and its connections."""
        self.loop.remove_reader(listener.sock.fileno())
        listener.sock.close()
        for connection in list(self._listeners[listener]):
            connection.close()
        del self._listeners[listener]

    def _acceptable(self, listener: Listener) -> None:
        for _ in range(_BATCH):  # then other callbacks have their turn
            try:
                sock, _address = listener.sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in _OUT_OF_DESCRIPTORS or not self._has_waiting(listener):
                    return
                if not self._close_quietest(listener):
                    self._pause(listener)
                    return
                continue
            self._admit(listener, sock)

    def _has_waiting(self, listener: Listener) -> bool:
        """Tell whether a connection waits: `accept` does not tell when descriptors run out."""
        if sys.platform == "win32":
            return False  # handles do not run out, and a pipe has a client or not
        waiting = select.poll()
        waiting.register(listener.sock.fileno(), select.POLLIN)
        return bool(waiting.poll(0))

    def _pause(self, listener: Listener) -> None:
        """Accept nothing for a moment: descriptors ran out, and this listener has none to close."""
        self.loop.remove_reader(listener.sock.fileno())
        self.loop.call_later(0.1, self._listen_again, listener)

    def _listen_again(self, listener: Listener) -> None:
        if listener in self._listeners and listener.sock.fileno() >= 0:
            self.loop.add_reader(listener.sock.fileno(), self._acceptable, listener)

    def _admit(self, listener: Listener, sock: socket.socket) -> None:
        try:
            peer = uid_of(sock)
        except OSError:
            sock.close()
            return
        if not listener.admits_uid(peer):
            sock.close()
            return
        sock.setblocking(False)
        if self._is_full(listener) and not self._close_quietest(listener):
            sock.close()
            return
        self.came += 1
        connection = Connection(self, sock)
        within = self._listeners[listener]
        self._connections[connection] = listener, within
        within[connection] = listener.identify_peer(sock)
        connection.begin()

    def _is_full(self, listener: Listener) -> bool:
        if listener is self._own:
            return len(self._connections) >= self._room
        guests = len(self._connections) - len(self._listeners[self._own])
        return len(self._listeners[listener]) >= (listener.max_connections or 1) or guests >= max(
            self._room // GUESTS, 1
        )

    def _close_quietest(self, listener: Listener) -> bool:
        """Close the longest idle connection of a listener; return False if it has none.

        A connection whose request is being answered is closed only if all of them are such; one on
        which something lasts never is.
        """
        among = [each for each in self._listeners[listener] if not each.is_kept]
        if not among:
            return False
        quiet = (each for each in among if not each.busy)
        next(quiet, next(iter(among))).close()
        return True

    def note_activity(self, connection: Connection) -> None:
        """Note that a connection sent something."""
        if found := self._connections.get(connection):
            _, within = found
            within[connection] = within.pop(connection)

    def dispatch_request(
        self, connection: Connection, request: Request, body: memoryview
    ) -> Answer | Awaitable[Answer]:
        """Return the answer to a request, or an awaitable of it."""
        listener, within = self._connections[connection]
        request.peer = within[connection]
        return listener.answer(request, body)

    def forget_connection(self, connection: Connection) -> None:
        """Forget a connection."""
        if found := self._connections.pop(connection, None):
            listener, within = found
            listener.when_closed(within.pop(connection))

    def reserve(
        self, wanting: Connection, block: memoryview | None, size: int
    ) -> memoryview | None:
        """Return a block of `size` for a connection's unfinished frame, in place of its `block`.

        Unfinished frames leave half of the arena free; those of another listener may hold
        `GUEST_BYTES` together. The longest idle connections of the same listener are closed first.
        If that is not enough, this connection is closed, and None returned.
        """
        listener, within = self._connections[wanting]
        for each in [each for each in within if each.held_bytes and each is not wanting]:
            if self._has_room(listener, wanting, size):
                break
            each.close()
        if listener is not self._own and size > GUEST_BYTES:
            wanting.close()
            return None
        try:
            return self.arena.allocate(size) if block is None else self.arena.grow(block, size)
        except ArenaFull:
            wanting.close()
            return None

    def _has_room(self, listener: Listener, wanting: Connection, size: int) -> bool:
        if listener is self._own:
            return self.arena.free_bytes >= len(self.arena.view) // 2 + size
        return (
            sum(o.held_bytes for o in self._listeners[listener] if o is not wanting) + size
            <= GUEST_BYTES
        )

    def refusal(self, error: BadRequest) -> Answer:
        """Return the answer to an invalid header."""
        failure = Failure(error.code, str(error))
        if error.code == "version":
            failure.more["supported"] = [WIRE_VERSION]
            failure.hint = "`auth agent restart`"
        return failure_answer(error.number, failure)

    def start_task(self, coroutine: Coroutine[None, None, None]) -> None:
        """Run a request that takes time as a task."""
        task = self.loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Accept no more, give running requests two seconds, and close all connections."""
        for listener in self._listeners:
            self.loop.remove_reader(listener.sock.fileno())
            listener.sock.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2)
        for task in self._tasks:
            task.cancel()
        for connection in list(self._connections):
            connection.close()
        self.arena.release(self.input)
        self.arena.release(self.output)
