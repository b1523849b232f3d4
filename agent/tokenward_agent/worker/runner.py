"""The agent's side of its workers: start one, send its job, read its answer, end it in time.

A worker is a process in a session of its own (main.py), so that ending it ends its children. The
arena holds its request and its answer: a secret passes through here without becoming an object.
That is why this is not ``asyncio.subprocess``, whose pipes make bytes. Nothing here blocks the
loop, and at every end of a job (answer, failure, deadline, cancellation) its whole process group is
killed, both pipes are closed and the process is reaped.

If the agent's service manager forbids the agent what a job needs, the worker is not its child
(service_worker.py). Of each kind `AT_ONCE` workers run at a time; the other jobs wait within their own
deadlines, so that a stuck keyring delays only requests that need a keyring, and many requests do
not fill the machine. A worker gets a short list of environment variables, no secret in its
arguments, no descriptors but three (and one to watch for a hang-up), and ``/`` as its directory.
This module neither refuses nor judges a job: the caller does.
"""

from __future__ import annotations

import asyncio
import os
import sys
import weakref
from typing import TYPE_CHECKING, Any, Final

import cryptography
import msgpack

import tokenward_agent
from tokenward_agent.harden import DEAF
from tokenward_agent.worker.job import WorkerError
from tokenward_os.user import NEEDED
from tokenward_protocol.messages import VARIABLES

if sys.platform == "win32":
    from tokenward_agent.worker.windows_worker import job_socket, run_worker
else:
    from tokenward_agent.worker.service_worker import job_socket
    from tokenward_agent.worker.unix_worker import run_worker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenward_agent.arena import Arena

    Header = dict[str, Any]

__all__ = ["WorkerError", "run_job", "worker_command", "worker_environment"]

_WORKER: Final = os.path.join(tokenward_agent.__path__[0], "worker", "main.py")
_SOURCES: Final = dict.fromkeys(
    os.path.dirname(package.__path__[0]) for package in (tokenward_agent, msgpack, cryptography)
)
"""Where a worker without site finds its packages; each once, in this order."""

AT_ONCE: Final = {
    "argon2id": 2,
    "keyring": 8,
    "program": 8,
    "command": 8,
    "index": 8,
    "consent": 16,
}
"""The most workers of a kind at a time; one key derivation takes 64 MiB."""

_TURNS: Final[
    weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Semaphore]]
] = weakref.WeakKeyDictionary()

_WITHOUT_SITE: Final = {"argon2id"}  # needs no plugins, and starts in half the time without


_ASKED: Final = {
    "keyring": "The system keyring",
    "program": "The `keyring` program",
    "command": "The command that makes the credential",
    "index": "The index",
    "consent": "The program that shows the prompt",
}
"""What a job waits for, by its first word."""


_ENVIRONMENT: Final = NEEDED | {*VARIABLES.values(), "PYTHON_KEYRING_BACKEND"}
_ENVIRONMENT_PREFIXES: Final = ("LC_", "XDG_")
_SESSION: Final = frozenset([*VARIABLES.values(), "XDG_CURRENT_DESKTOP", "XDG_RUNTIME_DIR"])


async def run_job(
    arena: Arena,
    job: str,
    header: Mapping[str, Any],
    secret: memoryview | None,
    into: memoryview | None,
    seconds: float,
    session: Mapping[str, str],
    watched: int | None = None,
) -> Header:
    """Run *job* in a worker and return the header of its answer.

    *secret* is copied into a block of *arena* at once, so that the caller may wipe its own during
    the wait. The answer's secret is read into *into*, which must be large enough; `size` in the
    header is its length. *watched* is the requester's socket; the worker gets it as descriptor 3,
    to notice a hang-up. Raises WorkerError, also when *seconds* are over; ArenaFull.
    """
    size = 0 if secret is None else len(secret)
    environ = worker_environment(os.environ, session)
    manager = job_socket(job, os.environ)
    more = {"environ": environ} if manager else {}
    packed: Any = msgpack.packb({**header, "job": job, "seconds": seconds, "size": size, **more})
    request = arena.allocate(4 + len(packed) + size)
    try:
        request[: 4 + len(packed)] = len(packed).to_bytes(4, "big") + packed
        if secret is not None:
            request[4 + len(packed) :] = secret
        async with asyncio.timeout(seconds), _job_semaphore(job):
            answer = await run_worker(worker_command(job), environ, request, into, watched, manager)
    except TimeoutError:
        who = _ASKED.get(job.partition("-")[0], "A worker process")
        raise WorkerError("timeout", f"{who} did not answer within {seconds:g} seconds.") from None
    except OSError as error:  # no descriptors, no processes, no memory
        why = error.strerror or type(error).__name__
        raise WorkerError(
            "worker", f"A worker process cannot be started: {why}.", "try again"
        ) from None
    finally:
        arena.release(request)
    if not answer["ok"]:
        raise WorkerError(answer["code"], answer["message"], answer["hint"])
    return answer


def _job_semaphore(job: str) -> asyncio.Semaphore:
    """Return the semaphore that limits the jobs of a kind in this loop."""
    kind = job.partition("-")[0]
    turns = _TURNS.setdefault(asyncio.get_running_loop(), {})
    if kind not in turns:
        turns[kind] = asyncio.Semaphore(AT_ONCE.get(kind, 8))
    return turns[kind]


def worker_command(job: str) -> list[str]:
    """Return the command that starts a worker for a job."""
    flags = ["-I", "-S"] if job in _WITHOUT_SITE else ["-I"]
    if sys.version_info >= (3, 14):
        flags += ["-X", DEAF]
    return [sys.executable, *flags, _WORKER, *_SOURCES]


def worker_environment(own: Mapping[str, str], session: Mapping[str, str]) -> dict[str, str]:
    """Return a worker's environment: the necessary part of *own*, and the requester's *session*.

    Of *session* only variables of a display or a bus count.
    """
    chosen = {
        name: value
        for name, value in own.items()
        if name in _ENVIRONMENT or name.startswith(_ENVIRONMENT_PREFIXES)
    }
    chosen.update((name, value) for name, value in session.items() if name in _SESSION)
    if chosen.get("PYTHON_KEYRING_BACKEND", "").startswith("tokenward"):
        del chosen["PYTHON_KEYRING_BACKEND"]
    return chosen
