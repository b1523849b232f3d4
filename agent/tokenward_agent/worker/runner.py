"""The agent's side of its workers: start one, feed it, read its answer, and end it in time.

A worker is a process of its own session (main.py), so that ending it ends what it started. It is
fed from the arena and answers into the arena: what is secret passes through here without becoming
an object. That is why this is not ``asyncio.subprocess``, whose pipes make bytes. Nothing here
blocks the loop, and however a job ends (answer, failure, deadline, cancellation) its whole process
group is killed, both pipes are closed and the process is reaped.

Where a service manager keeps the agent from what a job needs, the worker is not its child (managed.py).
A worker gets a short list of environment variables, nothing secret in its arguments, no descriptor
but three (and one to watch, where somebody may hang up), and ``/`` as its directory. It refuses nothing and judges nothing: that is for the caller.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys

import cryptography
import msgpack

import tokenward_agent
from tokenward_agent.worker import managed
from tokenward_agent.worker.environment import environment
from tokenward_agent.worker.main import MAX_HEADER, WATCHED
from tokenward_agent.worker.pipes import read, read_into, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

    from tokenward_agent.arena import Arena

    Header = dict[str, Any]

_WORKER: Final = os.path.join(tokenward_agent.__path__[0], "worker", "main.py")
_SOURCES: Final = dict.fromkeys(
    os.path.dirname(package.__path__[0]) for package in (tokenward_agent, msgpack, cryptography)
)
"""Where a worker that runs without site finds its packages; each once, in this order."""

_WITHOUT_SITE: Final = {"argon2id"}  # needs no plugins, and starts in half the time without


class WorkerError(Exception):
    """A job failed: a `code`, one sentence, and the command that helps or an empty string.

    Codes: `timeout`, `worker`, `not-found`, `no-keyring`, `keyring-locked`, `keyring-failed`,
    `program-failed`, `no-screen`.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


_ASKED: Final = {
    "keyring": "The system keyring",
    "program": "The `keyring` program",
    "consent": "The program that asks a person",
}
"""Who is asked by jobs that begin so."""


async def run(
    arena: Arena,
    job: str,
    header: Mapping[str, Any],
    secret: memoryview | None,
    into: memoryview | None,
    seconds: float,
    session: Mapping[str, str],
    watched: int | None = None,
) -> Header:
    """Let a worker do *job* and return the header of its answer.

    *secret* is copied into a block of *arena* at once, so that the caller's may be wiped while this
    waits. The answer's secret is read into *into*, which must be large enough; the header's `size`
    says how many bytes of it count. *watched* is the socket of whoever asks, which the worker finds
    as its descriptor 3, to see when they hang up. Raises WorkerError, also when *seconds* are over;
    ArenaFull.
    """
    size = 0 if secret is None else len(secret)
    environ = environment(os.environ, session)
    address = managed.address(job, os.environ)
    more = {"environ": environ} if address else {}
    packed: Any = msgpack.packb({**header, "job": job, "seconds": seconds, "size": size, **more})
    request = arena.take(4 + len(packed) + size)
    try:
        request[: 4 + len(packed)] = len(packed).to_bytes(4, "big") + packed
        if secret is not None:
            request[4 + len(packed) :] = secret
        async with asyncio.timeout(seconds):
            with contextlib.ExitStack() as ours:
                if address:
                    feed = answers = _called(address, watched, ours)
                else:
                    feed, answers = _started(_command(job), environ, watched, ours)
                answer = await _converse(feed, answers, request, into)
    except TimeoutError:
        who = _ASKED.get(job.partition("-")[0], "A worker process")
        raise WorkerError("timeout", f"{who} did not answer within {seconds:g} seconds.") from None
    except OSError as error:  # no descriptors, no processes, no memory
        why = error.strerror or type(error).__name__
        raise WorkerError("worker", f"No worker process runs: {why}.", "try again") from None
    finally:
        arena.give(request)
    if not answer["ok"]:
        raise WorkerError(answer["code"], answer["message"], answer["hint"])
    return answer


def _command(job: str) -> list[str]:
    flags = ["-I", "-S"] if job in _WITHOUT_SITE else ["-I"]
    if sys.version_info >= (3, 14):
        flags += ["-X", "disable_remote_debug"]
    return [sys.executable, *flags, _WORKER, *_SOURCES]


def _called(address: str, watched: int | None, ours: contextlib.ExitStack) -> int:
    """Have a service manager start a worker; return the descriptor for request and answer."""
    try:
        connection = managed.connected(address, watched)
    except OSError as error:
        raise WorkerError(
            "worker",
            f"The service manager starts no worker at {address}: {error.strerror}.",
            "`systemctl --user restart tokenward-worker.socket`",
        ) from None
    ours.callback(connection.close)
    return connection.fileno()


def _started(
    command: list[str], environ: Mapping[str, str], watched: int | None, ours: contextlib.ExitStack
) -> tuple[int, int]:
    """Start a worker that ends with `ours`; return the descriptors for request and answer."""
    more = [] if watched is None else [(os.POSIX_SPAWN_DUP2, watched, WATCHED)]
    with contextlib.ExitStack() as theirs:  # closed once it runs, or its death goes unseen
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
        ours.callback(_end, asyncio.get_running_loop(), process)
    os.set_blocking(feed, False)
    os.set_blocking(answers, False)
    return feed, answers


async def _converse(
    feed: int, answers: int, request: memoryview, into: memoryview | None
) -> Header:
    try:
        await write(feed, request)
        return await _read_answer(answers, into)
    except (ConnectionError, EOFError):
        raise WorkerError("worker", "A worker process ended without an answer.") from None


def _pipe(reader: contextlib.ExitStack, writer: contextlib.ExitStack) -> tuple[int, int]:
    """Make a pipe whose ends the two stacks close."""
    ends = os.pipe()
    reader.callback(os.close, ends[0])
    writer.callback(os.close, ends[1])
    return ends


def _end(loop: asyncio.AbstractEventLoop, process: int) -> None:
    """Kill a worker and all that it started, then reap it without waiting.

    It is our child until it is reaped, so that its number cannot be another process' yet.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):  # a zombie alone, on macOS
        os.killpg(process, signal.SIGKILL)
    _reap(loop, process, 0.001)


def _reap(loop: asyncio.AbstractEventLoop, process: int, delay: float) -> None:
    """Reap a killed process, now or in a moment: portable, unlike a pidfd, and never blocking."""
    if os.waitpid(process, os.WNOHANG)[0] == 0:
        loop.call_later(delay, _reap, loop, process, min(2 * delay, 1.0))


async def _read_answer(descriptor: int, into: memoryview | None) -> Header:
    """Read a header into objects and the secret behind it into *into*."""
    length = int.from_bytes(await read(descriptor, 4), "big")
    if length > MAX_HEADER:
        raise WorkerError("worker", "A worker process answered with too long a header.")
    header: Header = msgpack.unpackb(await read(descriptor, length))
    size: int = header["size"]
    room = 0 if into is None else len(into)
    if size > room:
        raise WorkerError("worker", f"A worker process answered {size} bytes instead of {room}.")
    if into is not None:
        await read_into(descriptor, into[:size])
    return header
