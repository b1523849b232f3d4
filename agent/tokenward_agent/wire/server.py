"""The agent's side of its sockets: who is let in, how many, and what all connections share.

It accepts whom a door admits (door.py), at most `MAX_CONNECTIONS` and no more than descriptors
allow; past that, and where locked memory runs out, the longest idle or unfinished one of the same
door gives way, so that a client that behaves is always answered. No door ever takes a connection from
another: what is not the agent's own has a bounded part of connections and memory, and where that is
used up by others of its kind whoever comes is turned away. The server knows nothing about requests:
each door has its dispatch.
"""

from __future__ import annotations

import asyncio
import errno
import select
import sys

from tokenward_agent.arena import ArenaFull
from tokenward_agent.failure import Failure
from tokenward_agent.system import descriptors
from tokenward_agent.wire import peer
from tokenward_agent.wire.answer import Answer, not_done
from tokenward_agent.wire.connection import Connection
from tokenward_agent.wire.door import Door, nobody
from tokenward_protocol import WIRE_VERSION
from tokenward_protocol.frames import MAX_BODY, MAX_HEADER, PREFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Coroutine

    from tokenward_agent.arena import Arena
    from tokenward_agent.wire.door import Dispatch, Meet
    from tokenward_agent.wire.request import Refused, Request

MAX_CONNECTIONS = 2048
"""More than any login session was ever seen to hold; each costs a descriptor and 1 KiB."""

RESERVED = 64
"""Descriptors that connections leave to the saving of vaults and to workers."""

BACKLOG = 32
"""Connections that the kernel holds for us. Few, so that whoever floods waits in a `connect` of its
own, and nobody else waits long behind what it left in ours."""

GUESTS = 4
"""Of the connections, one in so many may come by other doors than the agent's own."""

GUEST_BYTES = 32 * 1024
"""What unfinished requests of another door may hold in locked memory: a fetch is at most 8 KiB."""

_BATCH = 16
_INPUT = 64 * 1024
_OUT_OF_DESCRIPTORS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Server:
    """Serves its own door, and those that are opened, until `close`."""

    def __init__(
        self,
        listener: socket.socket,
        arena: Arena,
        dispatch: Dispatch,
        meet: Meet = nobody,
    ) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.arena = arena
        self.input = arena.take(_INPUT)
        self.output = arena.take(PREFIX + MAX_HEADER + MAX_BODY)
        self._doors: dict[
            Door, dict[Connection, object]
        ] = {}  # with peers, the longest quiet first
        self._connections: dict[Connection, tuple[Door, dict[Connection, object]]] = {}
        self.came = 0
        """How many were let in so far."""
        self._tasks: set[asyncio.Task[None]] = set()
        most = descriptors()
        self._room = min(MAX_CONNECTIONS, most - min(RESERVED, most // 2))
        self._own = Door(listener, dispatch, meet)
        self.open(self._own)

    @property
    def occupied(self) -> bool:
        """Whether anybody is connected."""
        return bool(self._connections)

    def open(self, door: Door) -> None:
        """Let people in by one more door."""
        door.listener.setblocking(False)
        door.listener.listen(BACKLOG)
        self._doors[door] = {}
        self.loop.add_reader(door.listener.fileno(), self._acceptable, door)

    def shut(self, door: Door) -> None:
        """Close a door, and hang up on whoever came in by it."""
        self.loop.remove_reader(door.listener.fileno())
        door.listener.close()
        for connection in list(self._doors[door]):
            connection.close()
        del self._doors[door]

    def _acceptable(self, door: Door) -> None:
        for _ in range(_BATCH):  # then let the others have their turn
            try:
                sock, _address = door.listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in _OUT_OF_DESCRIPTORS or not self._somebody_waits(door):
                    return
                if not self._give_way(door):
                    self._pause(door)
                    return
                continue
            self._admit(door, sock)

    def _somebody_waits(self, door: Door) -> bool:
        """Tell whether there is anybody to accept: without a descriptor `accept` does not say."""
        if sys.platform == "win32":
            return False  # handles do not run out, and a pipe has somebody or has not
        waiting = select.poll()
        waiting.register(door.listener.fileno(), select.POLLIN)
        return bool(waiting.poll(0))

    def _pause(self, door: Door) -> None:
        """Accept nothing for a moment: descriptors are out and this door has none to give back."""
        self.loop.remove_reader(door.listener.fileno())
        self.loop.call_later(0.1, self._listen_again, door)

    def _listen_again(self, door: Door) -> None:
        if door in self._doors and door.listener.fileno() >= 0:
            self.loop.add_reader(door.listener.fileno(), self._acceptable, door)

    def _admit(self, door: Door, sock: socket.socket) -> None:
        try:
            asker = peer.uid(sock)
        except OSError:
            sock.close()
            return
        if not door.admits(asker):
            sock.close()
            return
        sock.setblocking(False)
        if self._is_full(door) and not self._give_way(door):
            sock.close()
            return
        self.came += 1
        connection = Connection(self, sock)
        within = self._doors[door]
        self._connections[connection] = door, within
        within[connection] = door.meet(sock)
        connection.begin()

    def _is_full(self, door: Door) -> bool:
        if door is self._own:
            return len(self._connections) >= self._room
        guests = len(self._connections) - len(self._doors[self._own])
        return len(self._doors[door]) >= (door.most or 1) or guests >= max(self._room // GUESTS, 1)

    def _give_way(self, door: Door) -> bool:
        """Hang up on the longest quiet one of a door; False where it has none.

        One that waits for us goes only where all of them do.
        """
        among = self._doors[door]
        if not among:
            return False
        quiet = (each for each in among if not each.busy)
        next(quiet, next(iter(among))).close()
        return True

    def touched(self, connection: Connection) -> None:
        """Note that a connection was heard of."""
        if found := self._connections.get(connection):
            _, within = found
            within[connection] = within.pop(connection)

    def asked(
        self, connection: Connection, request: Request, body: memoryview
    ) -> Answer | Awaitable[Answer]:
        """Answer a request of a connection, or return what will."""
        door, within = self._connections[connection]
        request.peer = within[connection]
        return door.answer(request, body)

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        if found := self._connections.pop(connection, None):
            del found[1][connection]

    def room(self, wanting: Connection, block: memoryview | None, size: int) -> memoryview | None:
        """Return a block for what a connection holds, in the place of the `block` that it has.

        What is held leaves half of the arena to what is being done, and of another door's no more
        than `GUEST_BYTES`; the longest quiet one of the same door gives way. None if there is no room
        all the same; then this connection was hung up on.
        """
        door, within = self._connections[wanting]
        for each in [each for each in within if each.held and each is not wanting]:
            if self._fits(door, wanting, size):
                break
            each.close()
        if door is not self._own and size > GUEST_BYTES:
            wanting.close()
            return None
        try:
            return self.arena.take(size) if block is None else self.arena.grow(block, size)
        except ArenaFull:
            wanting.close()
            return None

    def _fits(self, door: Door, wanting: Connection, size: int) -> bool:
        if door is self._own:
            return self.arena.free >= len(self.arena.view) // 2 + size
        return sum(o.held for o in self._doors[door] if o is not wanting) + size <= GUEST_BYTES

    def refused(self, error: Refused) -> Answer:
        """Return the answer to a header that is no request."""
        failure = Failure(error.code, str(error))
        if error.code == "version":
            failure.more["supported"] = [WIRE_VERSION]
            failure.hint = "`auth agent restart`"
        return not_done(error.number, failure)

    def work(self, coroutine: Coroutine[None, None, None]) -> None:
        """Run a request that takes a while beside everything else."""
        task = self.loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Accept nothing more, let what is under way finish for a moment, hang up on all."""
        for door in self._doors:
            self.loop.remove_reader(door.listener.fileno())
            door.listener.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2)
        for task in self._tasks:
            task.cancel()
        for connection in list(self._connections):
            connection.close()
        self.arena.give(self.input)
        self.arena.give(self.output)
