"""One worker on Linux and macOS, from start to end: the loop writes and reads its pipes.

It has a session of its own, so that ending it ends its children. Nothing here blocks the loop. Unlike
the loop's own transports, `write_pipe` and `read_pipe_into` make no object of the bytes and keep
nothing: they move bytes between a non-blocking descriptor and a view of the arena. Only one task at a
time uses a descriptor.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

assert sys.platform != "win32"

import asyncio
import contextlib
import os
import signal
import socket

import msgpack

from tokenward_agent.worker import service_worker
from tokenward_agent.worker.job import WATCHED, WorkerError, require_fit

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        connection = service_worker.connect(address, watched)
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
    require_fit(length, 0, 0)
    header: Header = msgpack.unpackb(await read_pipe(descriptor, length))
    require_fit(0, header["size"], len(into or b""))
    if into is not None:
        await read_pipe_into(descriptor, into[: header["size"]])
    return header


async def write_pipe(descriptor: int, data: memoryview) -> None:
    """Write all of *data*. Raises BrokenPipeError if the reader is gone."""
    sent = 0
    while sent < len(data):
        try:
            sent += os.write(descriptor, data[sent:])
        except BlockingIOError:
            await _writable(descriptor)


async def write_descriptor(channel: int, data: memoryview, descriptor: int) -> None:
    """Write all of *data* into a Unix socket, and pass *descriptor* with it. Raises OSError."""
    sending = socket.socket(fileno=channel)
    try:
        while True:
            try:
                sent = socket.send_fds(sending, [data], [descriptor])
                break
            except BlockingIOError:
                await _writable(channel)
    finally:
        sending.detach()
    await write_pipe(channel, data[sent:])


async def read_pipe_into(descriptor: int, into: memoryview) -> None:
    """Fill *into*. Raises EOFError if the data ends before."""
    got = 0
    while got < len(into):
        try:
            more = os.readv(descriptor, [into[got:]])
        except BlockingIOError:
            await _readable(descriptor)
            continue
        if more == 0:
            raise EOFError
        got += more


async def read_pipe(descriptor: int, size: int) -> bytes:
    """Return *size* bytes that are not secret. Raises EOFError if the data ends before."""
    data = b""
    while len(data) < size:
        try:
            more = os.read(descriptor, size - len(data))
        except BlockingIOError:
            await _readable(descriptor)
            continue
        if not more:
            raise EOFError
        data += more
    return data


async def _readable(descriptor: int) -> None:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


async def _writable(descriptor: int) -> None:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_writer(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(descriptor)
