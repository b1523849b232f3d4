"""The agent's side of its sockets: who is let in, how many, and what all connections share.

It accepts whom a door admits (door.py), at most `MAX_CONNECTIONS` and no more than descriptors
allow; past that, and where locked memory runs out, the longest idle or unfinished one gives way, so that a
client that behaves is always answered. It knows nothing about requests: each door has its dispatch.
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
    from collections.abc import Awaitable, Collection, Coroutine

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
        self.loop = asyncio.get_running_loop()
        self.arena = arena
        self.input = arena.take(_INPUT)
        self.output = arena.take(PREFIX + MAX_HEADER + MAX_BODY)
        self._connections: dict[Connection, tuple[Door, object]] = {}  # the longest quiet one first
        self._doors: set[Door] = set()
        self.came = 0
        """How many were let in so far."""
        self._tasks: set[asyncio.Task[None]] = set()
        most = descriptors()
        self._room = min(MAX_CONNECTIONS, most - min(RESERVED, most // 2))
        self.open(Door(listener, dispatch, meet))

    @property
    def occupied(self) -> bool:
        """Whether anybody is connected."""
        return bool(self._connections)

    def open(self, door: Door) -> None:
        """Let people in by one more door."""
        door.listener.setblocking(False)
        door.listener.listen(BACKLOG)
        self._doors.add(door)
        self.loop.add_reader(door.listener.fileno(), self._acceptable, door)

    def shut(self, door: Door) -> None:
        """Close a door, and hang up on whoever came in by it."""
        self._doors.discard(door)
        self.loop.remove_reader(door.listener.fileno())
        door.listener.close()
        for connection in self._within(door):
            connection.close()

    def _within(self, door: Door) -> list[Connection]:
        return [each for each, (by, _peer) in self._connections.items() if by is door]

    def _acceptable(self, door: Door) -> None:
        for _ in range(_BATCH):  # then let the others have their turn
            try:
                sock, _address = door.listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in _OUT_OF_DESCRIPTORS or not self._somebody_waits(door):
                    return
                if not self._connections:
                    self._pause(door)
                    return
                self._give_way(self._connections)
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
        """Accept nothing for a moment: descriptors are out and none of ours can be given back."""
        self.loop.remove_reader(door.listener.fileno())
        self.loop.call_later(0.1, self._listen_again, door)

    def _listen_again(self, door: Door) -> None:
        if door in self._doors:
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
        if door.most is not None and len(within := self._within(door)) >= door.most:
            self._give_way(within)
        if len(self._connections) >= self._room:
            self._give_way(self._connections)
        self.came += 1
        connection = Connection(self, sock)
        self._connections[connection] = door, door.meet(sock)
        connection.begin()

    def _give_way(self, among: Collection[Connection]) -> None:
        """Hang up on the longest quiet one; on one that waits for us only where all of them do."""
        quiet = (each for each in among if not each.busy)
        next(quiet, next(iter(among))).close()

    def touched(self, connection: Connection) -> None:
        """Note that a connection was heard of."""
        if connection in self._connections:
            self._connections[connection] = self._connections.pop(connection)

    def asked(
        self, connection: Connection, request: Request, body: memoryview
    ) -> Answer | Awaitable[Answer]:
        """Answer a request of a connection, or return what will."""
        door, request.peer = self._connections[connection]
        return door.answer(request, body)

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.pop(connection, None)

    def room(self, wanting: Connection, block: memoryview | None, size: int) -> memoryview | None:
        """Return a block for what a connection holds, in the place of the `block` that it has.

        What is held leaves half of the arena to what is being done, and the longest quiet one gives
        way. None if there is no room all the same; then this connection was hung up on.
        """
        kept = len(self.arena.view) // 2 + size
        if self.arena.free < kept:
            for each in [each for each in self._connections if each.holds and each is not wanting]:
                each.close()
                if self.arena.free >= kept:
                    break
        try:
            return self.arena.take(size) if block is None else self.arena.grow(block, size)
        except ArenaFull:
            wanting.close()
            return None

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
        self._doors.clear()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2)
        for task in self._tasks:
            task.cancel()
        for connection in list(self._connections):
            connection.close()
        self.arena.give(self.input)
        self.arena.give(self.output)
