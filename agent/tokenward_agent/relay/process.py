"""The agent's side of one relay: start the process, answer its questions, end it.

The relay is a worker that lives as long as its run (worker/main.py, job `relay`), started as workers
are: a child of the agent, or a unit of the service manager's where the agent itself may not open
network connections. It asks over a socket (tokenward_relay/agent_link.py); each question is answered
by a coroutine of its own, since a prompt may take a minute. It ends when it is told to or when the
socket is closed. What it said before is heard: the index may have answered an upload just then.

A relay reads what strangers send, so no value of its messages is believed: the handler checks each.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import sys

import msgpack

from tokenward_agent.failure import Failure, KeyDestroyed, describe_fault
from tokenward_agent.worker.job import MAX_HEADER, WorkerError
from tokenward_agent.worker.runner import worker_command, worker_environment
from tokenward_agent.worker.service_worker import job_socket
from tokenward_agent.worker.unix_worker import open_worker, read_pipe, write_descriptor, write_pipe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from typing import Any, Final

    from tokenward_agent.arena import Arena
    from tokenward_agent.failure import SecretSource

    Header = dict[str, Any]
    Reply = tuple[Header, SecretSource | None]

START_SECONDS: Final = 10.0
END_SECONDS: Final = 1.0
"""The longest wait for a relay that was told to end; then it is killed."""

_LOCKED: Final = {
    "ok": False,
    "status": 400,
    "text": "the vault is locked",
    "hint": "`auth unlock`",
}
_NO_ANSWER: Final = {
    "ok": False,
    "status": 502,
    "text": "the agent cannot answer",
    "hint": "`auth agent restart`",
}

_MOST_QUESTIONS: Final = 64
"""The most questions of one relay that are answered at a time; others wait in the pipe."""


class SpareRelay:
    """A relay process without a run, which has done what takes most of its start.

    It holds nothing, and ends with the agent or with `close`. Raises WorkerError, OSError.
    """

    def __init__(self) -> None:
        self.ours = contextlib.ExitStack()
        environ = worker_environment(os.environ, {})
        manager = job_socket("relay", os.environ)
        try:
            self.feed, self.answers = open_worker(
                worker_command("relay"), environ, None, manager, self.ours, over_socket=True
            )
            more = {"environ": environ} if manager else {}
            job = {"job": "relay", "spare": True, "seconds": 0, "size": 0, **more}
            packed: bytes = msgpack.packb(job)  # pyright: ignore[reportAssignmentType] - never None here
            os.write(self.feed, len(packed).to_bytes(4, "big") + packed)
        except BaseException:
            self.ours.close()
            raise

    def has_ended(self) -> bool:
        """Tell whether it has ended before it got a run."""
        poll = select.poll()
        poll.register(self.answers, select.POLLIN)  # it says nothing before
        return bool(poll.poll(0))

    def close(self) -> None:
        """End it."""
        self.ours.close()


def start_spare() -> SpareRelay | None:
    """Start a spare relay; None if none starts: the next run will say why."""
    try:
        return SpareRelay()
    except (WorkerError, OSError):
        return None


class RelayProcess:
    """One relay; `answer` handles its questions, `ended` is called once when it has ended."""

    def __init__(
        self,
        arena: Arena,
        answer: Callable[[Header], Awaitable[Reply]],
        hear: Callable[[Header], None],
        ended: Callable[[], None],
    ) -> None:
        self._arena = arena
        self._answer = answer
        self._hear = hear
        self._ended = ended
        self._ours = contextlib.ExitStack()
        self._writing = asyncio.Lock()
        self._room = asyncio.Semaphore(_MOST_QUESTIONS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._silent = asyncio.Event()
        self._is_closed = False
        self._listener: asyncio.Task[None] | None = None
        self._writer: asyncio.Task[Any] | None = None

    async def start(
        self,
        header: Mapping[str, object],
        secret: memoryview,
        stderr: int,
        spare: SpareRelay | None,
    ) -> int:
        """Start it and return its port; it tells refusals at `stderr`. Raises Failure.

        A `spare` one becomes it.
        """
        said = {**header, "size": len(secret)}
        packed: bytes = msgpack.packb(said)  # pyright: ignore[reportAssignmentType] - never None here
        if len(packed) > MAX_HEADER:
            raise Failure("refused", "The run has too many indexes for one relay.")
        try:
            async with asyncio.timeout(START_SECONDS):
                process = spare or SpareRelay()
                self._ours.push(process.ours)
                self._feed, self._answers = process.feed, process.answers
                await self._write(packed, secret, stderr)
                told = await self._read()
                if not told["ok"]:
                    raise Failure("refused", str(told["message"]), str(told["hint"]))
                port = int(told["port"])
        except WorkerError as error:
            self.kill()
            raise Failure("refused", str(error), error.hint) from None
        except (OSError, EOFError, TimeoutError, ValueError, KeyError, TypeError):
            self.kill()
            raise Failure("refused", "The relay did not start.", "try again") from None
        except BaseException:  # the agent ends, or the relay said why it does not start
            self.kill()
            raise
        self._listener = self._keep(self._listen())
        return port

    async def end(self) -> None:
        """End the process, and hear what it still says."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await self._say({"end": True})
                await self._silent.wait()
        self.kill()
        await asyncio.sleep(0)  # it is killed in this moment

    def kill(self) -> None:
        """End the process at once; nothing more is said or heard.

        A prompt that is open ends by itself: it has a terminal to tidy up.
        """
        if self._is_closed:
            return
        self._is_closed = True
        for task in (self._listener, self._writer):
            if task is not None and task is not asyncio.current_task():
                task.cancel()
        # First the tasks stop watching the descriptors, then their numbers may be used for others.
        asyncio.get_running_loop().call_soon(self._ours.close)

    def forget(self) -> None:
        """Have it forget the credentials that it holds, and stop what it sends with one."""
        self._keep(self._say({}))

    async def pass_connection(self, purpose: str, descriptor: int) -> None:
        """Have it serve a connection of a share; `purpose` is that of its request. Raises OSError."""
        said = {"passed": purpose, "size": 0}
        packed: bytes = msgpack.packb(said)  # pyright: ignore[reportAssignmentType] - never None here
        await self._write(packed, None, descriptor)

    def _keep(self, coroutine: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _listen(self) -> None:
        """Handle what it says until it ends, or says what no relay of ours does."""
        try:
            while True:
                header = await self._read()
                if "ask" not in header:
                    self._hear(header)
                    continue
                if type(header.get("id")) is not int:
                    raise ValueError("a question without a number")
                await self._room.acquire()
                self._keep(self._reply(header))
        except (OSError, EOFError, ValueError):
            pass
        finally:
            self._silent.set()
        self.kill()
        self._ended()

    async def _reply(self, question: Header) -> None:
        number = question["id"]
        block = None
        try:
            try:
                header, secret = await self._answer(question)
                if secret is not None:
                    block = self._arena.allocate(secret.size)
                    secret.open_into(block)
            except Exception as error:  # noqa: BLE001 - a question without an answer waits for ever
                self._hear({"upload": number, "status": "not-sent"})
                if isinstance(error, KeyDestroyed):
                    header = dict(_LOCKED)
                else:
                    fault = describe_fault(error)
                    sys.stderr.write(f"tokenward-agent: A relay got nothing: {fault}.\n")
                    header = dict(_NO_ANSWER)
                self._release(block)
                block = None
            await self._say({**header, "id": number}, block)
        finally:
            self._release(block)
            self._room.release()

    def _release(self, block: memoryview | None) -> None:
        if block is not None:
            self._arena.release(block)

    async def _say(self, header: Header, secret: memoryview | None = None) -> None:
        said = {**header, "size": 0 if secret is None else len(secret)}
        packed: bytes = msgpack.packb(said)  # pyright: ignore[reportAssignmentType] - never None here
        with contextlib.suppress(OSError):  # it has ended
            await self._write(packed, secret)

    async def _write(
        self, packed: bytes, secret: memoryview | None, descriptor: int | None = None
    ) -> None:
        data = memoryview(len(packed).to_bytes(4, "big") + packed)
        async with self._turn_to_write():
            if descriptor is None:
                await write_pipe(self._feed, data)
            else:
                await write_descriptor(self._feed, data, descriptor)
            if secret:
                await write_pipe(self._feed, secret)

    @contextlib.asynccontextmanager
    async def _turn_to_write(self) -> AsyncIterator[None]:
        """Be the one task that writes. Raises OSError if it has ended."""
        async with self._writing:
            if self._is_closed:  # the descriptor's number may be another's by now
                raise BrokenPipeError
            self._writer = asyncio.current_task()
            try:
                yield
            finally:
                self._writer = None

    async def _read(self) -> Header:
        length = int.from_bytes(await read_pipe(self._answers, 4), "big")
        if length > MAX_HEADER:
            raise ValueError("header too long")
        header: object = msgpack.unpackb(await read_pipe(self._answers, length))
        if not isinstance(header, dict):
            raise ValueError("not a map")  # noqa: TRY004 - what came is wrong, not a type of ours
        return header
