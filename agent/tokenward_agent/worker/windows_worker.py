"""One worker on Windows, from start to end: a thread writes and reads its pipes.

A job object holds the worker and its children, and ends them all at once; then the pipes break,
which ends the thread. The thread uses the caller's memory, so the caller waits until the thread has
ended.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

assert sys.platform == "win32"

import asyncio
import contextlib
import subprocess

import msgpack

from tokenward_agent.windows.process import Job
from tokenward_agent.worker.job import WorkerError, require_fit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from io import FileIO

    Header = dict[str, Any]


def job_socket(_job: str, _environ: Mapping[str, str]) -> str:
    """Return "": no service manager starts workers here."""
    return ""


async def run_worker(
    command: list[str],
    environ: Mapping[str, str],
    request: memoryview,
    into: memoryview | None,
    _watched: int | None,
    _manager: str,
) -> Header:
    """Start a worker, send it `request`, and return its answer. Raises WorkerError, OSError."""
    process = subprocess.Popen(  # noqa: ASYNC220 - it waits only for the start
        command,
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=dict(environ),
        creationflags=subprocess.CREATE_NO_WINDOW,
    )
    job = Job()
    talk = None
    try:
        job.take(int(process._handle))  # type: ignore[attr-defined]  # noqa: SLF001 - Popen opens no other
        talk = asyncio.get_running_loop().run_in_executor(None, _exchange, process, request, into)
        return await asyncio.shield(talk)
    finally:
        job.end()
        process.kill()
        if talk is not None:
            await asyncio.wait([talk])
            talk.exception()  # retrieved, or asyncio would report it
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.wait()


def _exchange(
    process: subprocess.Popen[bytes], request: memoryview, into: memoryview | None
) -> Header:
    feed: Any = process.stdin
    answers: Any = process.stdout
    try:
        sent = 0
        with contextlib.suppress(OSError):  # the worker has ended: then it has no answer either
            while sent < len(request):
                sent += feed.write(request[sent:])
        length = int.from_bytes(_read(answers, 4), "big")
        require_fit(length, 0, 0)
        header: Header = msgpack.unpackb(_read(answers, length))
        _read_into(answers, into, header["size"])
    except EOFError:
        raise WorkerError("worker", "A worker process ended without an answer.") from None
    return header


def _read_into(answers: FileIO, into: memoryview | None, size: int) -> None:
    require_fit(0, size, len(into or b""))
    got = 0
    while into is not None and got < size:
        more = answers.readinto(into[got:size])
        if not more:
            raise EOFError
        got += more


def _read(answers: FileIO, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = answers.read(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data
