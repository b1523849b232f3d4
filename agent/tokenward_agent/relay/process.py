"""The agent's side of one relay: start the process, answer its questions, end it.

The relay is a worker that lives as long as its run (worker/main.py, job `relay`), started as workers
are: a child of the agent, or a unit of the service manager's where the agent itself may not open
network connections. It asks over the worker's pipe (tokenward_relay/agent_link.py); each question is
answered by a coroutine of its own, since a prompt may take a minute. It ends when it is told to or
when the pipe is closed. What it said before is heard: the index may have answered an upload just
then.

A relay reads what strangers send, so no value of its messages is believed: the handler checks each.
"""

from __future__ import annotations

import asyncio
import contextlib
import os

import msgpack

from tokenward_agent.arena import ArenaFull
from tokenward_agent.failure import KeyDestroyed
from tokenward_agent.worker.errors import WorkerError
from tokenward_agent.worker.job import MAX_HEADER
from tokenward_agent.worker.pipes import read_pipe, write_pipe
from tokenward_agent.worker.runner import worker_command
from tokenward_agent.worker.unix_worker import open_worker
from tokenward_agent.worker.worker_units import job_socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Any, Final

    from tokenward_agent.arena import Arena
    from tokenward_agent.wire.answer import SecretSource

    Header = dict[str, Any]
    Reply = tuple[Header, SecretSource | None]

START_SECONDS: Final = 10.0
END_SECONDS: Final = 1.0
"""The longest wait for a relay that was told to end; then it is killed."""

_MOST_QUESTIONS: Final = 64
"""The most questions of one relay that are answered at a time; others wait in the pipe."""


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
        environ: Mapping[str, str],
        shown: int,
    ) -> int:
        """Start it and return its port. Raises WorkerError."""
        manager = job_socket("relay", os.environ)
        more = {"environ": dict(environ)} if manager else {}
        packed: Any = msgpack.packb(
            {**header, "job": "relay", "seconds": 0, "size": len(secret), **more}
        )
        if len(packed) > MAX_HEADER:
            raise WorkerError("worker", "The run has too many indexes for one relay.")
        try:
            async with asyncio.timeout(START_SECONDS):
                self._feed, self._answers = open_worker(
                    worker_command("relay"), environ, shown, manager, self._ours
                )
                await self._write(packed, secret)
                told = await self._read()
        except (OSError, EOFError, TimeoutError):
            self.kill()
            raise WorkerError("worker", "The relay did not start.", "try again") from None
        if not told["ok"]:
            self.kill()
            raise WorkerError(told["code"], told["message"], told["hint"])
        self._listener = self._keep(self._listen())
        return int(told["port"])

    async def end(self) -> None:
        """End the process, and hear what it still says."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await self._write(msgpack.packb({"size": 0, "end": True}), None)
                await self._silent.wait()
        self.kill()

    def kill(self) -> None:
        """End the process at once; nothing more is said or heard.

        A prompt that is open ends by itself: it has a terminal to tidy up.
        """
        self._is_closed = True
        for task in (self._listener, self._writer):
            if task is not None and task is not asyncio.current_task():
                task.cancel()
        self._ours.close()

    def forget(self) -> None:
        """Have it forget the credentials that it holds, and stop what it sends with one."""
        self._keep(self._forget())

    async def _forget(self) -> None:
        with contextlib.suppress(OSError):
            await self._write(msgpack.packb({"size": 0}), None)

    def _keep(self, coroutine: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _listen(self) -> None:
        """Handle what it says until it ends."""
        try:
            while True:
                header = await self._read()
                if "ask" in header:
                    await self._room.acquire()
                    self._keep(self._reply(header))
                else:
                    self._hear(header)
        except (OSError, EOFError, ValueError, KeyError, TypeError):
            pass
        finally:
            self._silent.set()
        self._ended()

    async def _reply(self, question: Header) -> None:
        try:
            header, secret = await self._answer(question)
            packed: bytes = msgpack.packb(
                {**header, "id": question["id"], "size": 0 if secret is None else secret.size}
            )
            if secret is None:
                await self._write(packed, None)
                return
            block = self._arena.allocate(secret.size)
            try:
                secret.open_into(block)
                await self._write(packed, block)
            finally:
                self._arena.release(block)
        except OSError:
            pass  # it has ended
        except (KeyDestroyed, ArenaFull):
            self._hear({"upload": question["id"], "status": "not-sent"})
            told = {"status": 400, "text": "the vault is locked", "hint": "`auth unlock`"}
            with contextlib.suppress(OSError):
                more = {"id": question["id"], "size": 0, "ok": False}
                await self._write(msgpack.packb({**told, **more}), None)
        finally:
            self._room.release()

    async def _write(self, packed: bytes, secret: memoryview | None) -> None:
        async with self._writing:
            if self._is_closed:  # the descriptor's number may be another's by now
                raise BrokenPipeError
            self._writer = asyncio.current_task()
            try:
                await write_pipe(self._feed, memoryview(len(packed).to_bytes(4, "big") + packed))
                if secret:
                    await write_pipe(self._feed, secret)
            finally:
                self._writer = None

    async def _read(self) -> Header:
        length = int.from_bytes(await read_pipe(self._answers, 4), "big")
        if length > MAX_HEADER:
            raise ValueError("header too long")
        header: Header = msgpack.unpackb(await read_pipe(self._answers, length))
        return header
