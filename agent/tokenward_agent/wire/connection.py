"""One client's connection: requests in, answers out, and no plaintext between two callbacks.

All connections share one input and one output region of the arena. Nothing else runs while a
callback holds plaintext there, and both regions are wiped before it returns. Everything that waits
does so without a readable secret:

- An unfinished frame moves into its own block of the arena, which grows with the bytes that came,
  not with the size that the frame claims. The frame may take `FRAME_SECONDS`.
- An answer that the peer does not take waits sealed, and is opened again when the socket has room.
- While a request waits for a keyring or a disk, its connection is not read, so answers keep the
  order of the requests.
- After each request the other connections have their turn: a client that sends a thousand requests
  at once delays only itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tokenward_agent.arena import wipe
from tokenward_agent.failure import Failure, KeyDestroyed
from tokenward_agent.wire.answer import CLOSE, KEEP, Answer, failure_answer
from tokenward_agent.wire.request import BadRequest, read_request
from tokenward_protocol import LocalError, RemoteError
from tokenward_protocol.frames import PREFIX, find_frame, make_prefix

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Awaitable, Coroutine

    from tokenward_agent.arena import Arena
    from tokenward_agent.wire.request import Request

    class _Server(Protocol):  # as far as a connection needs it
        loop: asyncio.AbstractEventLoop
        arena: Arena
        input: memoryview
        output: memoryview

        def note_activity(self, connection: Connection, /) -> None: ...
        def dispatch_request(
            self, connection: Connection, request: Request, body: memoryview, /
        ) -> Answer | Awaitable[Answer]: ...
        def refusal(self, error: BadRequest, /) -> Answer: ...
        def reserve(
            self, wanting: Connection, block: memoryview | None, size: int, /
        ) -> memoryview | None: ...
        def start_task(self, coroutine: Coroutine[None, None, None], /) -> None: ...
        def forget_connection(self, connection: Connection, /) -> None: ...


FRAME_SECONDS = 5.0  # longest time from a frame's first byte to its last


class Connection:
    """One accepted, non-blocking socket, whose peer was admitted."""

    __slots__ = (
        *("_block", "_fd", "_held", "_sent", "_server", "_sock", "_timer", "_unsent"),
        *("busy", "is_kept"),
    )

    def __init__(self, server: _Server, sock: socket.socket) -> None:
        self._server = server
        self._sock: socket.socket | None = sock
        self._fd = sock.fileno()  # for the loop, which would call repr() on a socket object
        self._block: memoryview | None = None  # the unfinished frame: its first `_held` bytes
        self._held = 0
        self._timer: asyncio.TimerHandle | None = None
        self.busy = False  # a request waits for its handler or its turn; the peer is not late
        self.is_kept = False  # something lasts as long as this connection
        self._unsent: list[Answer] = []  # `_sent` bytes of the first one are sent
        self._sent = 0

    def begin(self) -> None:
        """Watch the socket, and read at once: most clients send right after connecting."""
        self._server.loop.add_reader(self._fd, self._readable)
        self._readable()

    @property
    def held_bytes(self) -> int:
        """Bytes in the arena that this connection holds for frames that wait."""
        return 0 if self._block is None else len(self._block)

    def close(self) -> None:
        """Close the connection and wipe what it holds."""
        sock, self._sock = self._sock, None
        if sock is None:
            return
        self._drop_block()
        self._unsent.clear()
        self._server.loop.remove_reader(self._fd)
        self._server.loop.remove_writer(self._fd)
        sock.close()
        self._server.forget_connection(self)

    def _readable(self) -> None:
        """Read what came, answer one frame, keep the rest."""
        if self._sock is None:
            return
        region = self._server.input
        try:
            size = self._sock.recv_into(region)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        if not size:
            self.close()
            return
        self._server.note_activity(self)
        try:
            self._take(region[:size])
        finally:
            wipe(region[:size])

    def _take(self, came: memoryview) -> None:
        """Append `came` to the held bytes and work on them."""
        if self._block is None:
            # Most frames come whole, and are answered from the shared region without a block.
            used = self._work(came)
            if self._sock is not None and used < len(came):
                self._hold(came[used:])
            return
        block = self._server.reserve(self, self._block, self._held + len(came))
        if block is None:
            return
        block[self._held :] = came
        self._block, self._held = block, len(block)
        self._work_block()

    def _work_block(self) -> None:
        """Answer the first held frame; the rest begins the next one."""
        block = self._block
        if block is None:
            return
        used = self._work(block)
        if used and self._sock is not None:
            self._block = None
            # The next frame has its own deadline, which `_hold` starts.
            self._stop_deadline()
            if used < len(block):
                self._hold(block[used:])
            self._server.arena.release(block)

    def _hold(self, rest: memoryview) -> None:
        block = self._server.reserve(self, None, len(rest))
        if block is None:
            return
        block[:] = rest
        self._block, self._held = block, len(rest)
        if not self.busy and not self._unsent:
            self._start_deadline()

    def _start_deadline(self) -> None:
        self._timer = self._server.loop.call_later(FRAME_SECONDS, self.close)

    def _stop_deadline(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _drop_block(self) -> None:
        self._stop_deadline()
        if self._block is not None:
            block, self._block = self._block, None
            self._server.arena.release(block)

    def _work(self, view: memoryview) -> int:
        """Answer the first whole frame in `view`; return how many bytes were used."""
        if self._sock is None or self.busy or self._unsent:
            # One request at a time: the bytes stay until the answer to the one before is sent.
            return 0
        try:
            found = find_frame(view)
        except RemoteError as error:
            self.send(failure_answer(0, Failure(error.code, str(error))))
            self.close()
            return 0
        if found is None:
            return 0
        body, end = found
        try:
            self._request(view[PREFIX:body], view[body:end])
        except BaseException:  # no memory even for an answer: the client must not wait for it
            self.close()
            raise
        if self._sock is not None and not self.busy and not self._unsent and end < len(view):
            # More is waiting: let the loop serve the other connections first.
            self.busy = True
            self._server.loop.remove_reader(self._fd)
            self._server.loop.call_soon(self._next)
        return end

    def _next(self) -> None:
        """Continue after an answered request."""
        self.busy = False
        self._go_on()

    def _request(self, header: memoryview, body: memoryview) -> None:
        try:
            request = read_request(header, len(body))
        except BadRequest as error:
            self.send(self._server.refusal(error))
            return
        answer = self._server.dispatch_request(self, request, body)
        if isinstance(answer, Answer):
            self.send(answer)
        else:
            self.busy = True
            if self._sock is not None:
                # Not read meanwhile, so a client that sends too fast fills the kernel's buffer.
                self._server.loop.remove_reader(self._fd)
            self._server.start_task(self._send_later(answer))

    async def _send_later(self, answer: Awaitable[Answer]) -> None:
        """Send an answer that took time, then continue with the bytes that came meanwhile."""
        try:
            result = await answer
        except BaseException:  # as in `_work`
            self.close()
            raise
        self.send(result)
        self._next()

    def _go_on(self) -> None:
        """Work on the held bytes, then watch the socket again unless something else waits."""
        self._work_block()
        if self._sock is None or self.busy or self._unsent:
            return
        # While a request waited, its client could not finish the next frame: its time starts now.
        if self._block is not None and self._timer is None:
            self._start_deadline()
        self._server.loop.add_reader(self._fd, self._readable)

    def send(self, answer: Answer) -> None:
        """Send an answer, or as much as the peer takes now; the rest waits sealed."""
        if self._unsent:
            self._unsent.append(answer)
        elif not self._send_from(answer, 0) and self._sock is not None:
            self._unsent.append(answer)
            self._server.loop.remove_reader(self._fd)
            self._server.loop.add_writer(self._fd, self._writable)

    def _writable(self) -> None:
        while self._unsent:
            if not self._send_from(self._unsent[0], self._sent):
                return
            if self._sock is None:
                return
            del self._unsent[0]
        if self._sock is not None:
            self._server.loop.remove_writer(self._fd)
            if not self.busy:
                self._go_on()

    def _send_from(self, answer: Answer, offset: int) -> bool:
        """Send `answer` from `offset` on; tell whether all of it is sent. Close on errors."""
        sock = self._sock
        if sock is None:
            return False
        region = self._server.output
        secret = answer.secret
        middle = PREFIX + len(answer.header)
        total = middle + (secret.size if secret is not None else 0)
        try:
            # Each attempt builds the whole answer anew: no plaintext waits between two.
            region[:PREFIX] = make_prefix(len(answer.header), total - middle)
            region[PREFIX:middle] = answer.header
            if secret is not None:
                secret.open_into(region[middle:total])
            sent = sock.send(region[offset:total])
        except BlockingIOError:
            sent = 0
        except (OSError, KeyDestroyed, LocalError):
            self.close()
            return False
        finally:
            wipe(region[:total])
        gone = offset + sent == total
        self._sent = 0 if gone else offset + sent
        if gone and answer.then == CLOSE:
            self.close()
        self.is_kept |= answer.then == KEEP
        return gone
