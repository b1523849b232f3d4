"""One worker on Linux and macOS, from start to end: the loop writes and reads its pipes.

It has a session of its own, so that ending it ends its children. Nothing here blocks the loop.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import asyncio
import contextlib
import os
import signal
import socket

import msgpack

from tokenward_agent.worker import worker_units
from tokenward_agent.worker.errors import WorkerError
from tokenward_agent.worker.job import MAX_HEADER, WATCHED
from tokenward_agent.worker.pipes import read_pipe, read_pipe_into, write_pipe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Header = dict[str, Any]


async def run_worker(
    command: list[str],
    environ: Mapping[str, str],
    request: memoryview,
    into: memoryview | None,
    watched: int | None,
    manager: str,
) -> Header:
    """Start a worker, send it `request`, and return its answer. Raises WorkerError, OSError.

    If `manager` names a socket, a service manager starts the worker. At every end the worker's
    whole process group is killed and the process reaped.
    """
    with contextlib.ExitStack() as ours:
        feed, answers = open_worker(command, environ, watched, manager, ours)
        try:
            await write_pipe(feed, request)
            return await _read_answer(answers, into)
        except (ConnectionError, EOFError):
            raise WorkerError("worker", "A worker process ended without an answer.") from None


def open_worker(
    command: list[str],
    environ: Mapping[str, str],
    watched: int | None,
    manager: str,
    ours: contextlib.ExitStack,
    *,
    over_socket: bool = False,
) -> tuple[int, int]:
    """Start a worker that ends with `ours`; return the descriptors to write to it and to read.

    The worker gets `watched` as another descriptor. If `manager` names a socket, a service manager
    starts it. With `over_socket` both are one socket, by which descriptors can be passed. Raises
    WorkerError, OSError.
    """
    if manager:
        connection = _connect_unit(manager, watched, ours)
        return connection, connection
    return _start(command, environ, watched, ours, over_socket=over_socket)


def _connect_unit(address: str, watched: int | None, ours: contextlib.ExitStack) -> int:
    """Have a service manager start a worker; return the descriptor for request and answer."""
    try:
        connection = worker_units.connect(address, watched)
    except OSError as error:
        raise WorkerError(
            "worker",
            f"The service manager does not start a worker at {address}: {error.strerror}.",
            "`systemctl --user restart tokenward-worker.socket`",
        ) from None
    ours.callback(connection.close)
    return connection.fileno()


def _start(
    command: list[str],
    environ: Mapping[str, str],
    watched: int | None,
    ours: contextlib.ExitStack,
    *,
    over_socket: bool,
) -> tuple[int, int]:
    """Start a worker that ends with `ours`; return the descriptors for request and answer."""
    more = [] if watched is None else [(os.POSIX_SPAWN_DUP2, watched, WATCHED)]
    with contextlib.ExitStack() as theirs:  # closed once it runs, or its end stays unseen
        if over_socket:
            near, far = socket.socketpair()
            feed = answers = ours.enter_context(near).fileno()
            stdin = stdout = theirs.enter_context(far).fileno()
        else:
            stdin, feed = _pipe(reader=theirs, writer=ours)
            answers, stdout = _pipe(reader=ours, writer=theirs)
        process = os.posix_spawn(
            command[0],
            command,
            environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, stdin, 0),
                (os.POSIX_SPAWN_DUP2, stdout, 1),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                *more,
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGINT, signal.SIGTERM],
        )
        ours.callback(_kill, asyncio.get_running_loop(), process)
    os.set_blocking(feed, False)
    os.set_blocking(answers, False)
    return feed, answers


def _pipe(reader: contextlib.ExitStack, writer: contextlib.ExitStack) -> tuple[int, int]:
    """Create a pipe whose ends the two stacks close."""
    ends = os.pipe()
    reader.callback(os.close, ends[0])
    writer.callback(os.close, ends[1])
    return ends


def _kill(loop: asyncio.AbstractEventLoop, process: int) -> None:
    """Kill a worker and its children, then reap it without waiting.

    Until it is reaped it stays our child, so its number cannot belong to another process yet.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: only a zombie is left
        os.killpg(process, signal.SIGKILL)
    _reap(loop, process, 0.001)


def _reap(loop: asyncio.AbstractEventLoop, process: int, delay: float) -> None:
    """Reap a killed process, now or in a moment: portable, unlike a pidfd, and never blocking."""
    if os.waitpid(process, os.WNOHANG)[0] == 0:
        loop.call_later(delay, _reap, loop, process, min(2 * delay, 1.0))


async def _read_answer(descriptor: int, into: memoryview | None) -> Header:
    """Read a header into objects and the secret behind it into *into*."""
    length = int.from_bytes(await read_pipe(descriptor, 4), "big")
    if length > MAX_HEADER:
        raise WorkerError("worker", "A worker process answered with too long a header.")
    header: Header = msgpack.unpackb(await read_pipe(descriptor, length))
    size: int = header["size"]
    room = 0 if into is None else len(into)
    if size > room:
        raise WorkerError("worker", f"A worker process answered {size} bytes instead of {room}.")
    if into is not None:
        await read_pipe_into(descriptor, into[:size])
    return header
