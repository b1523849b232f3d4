"""The program of a worker: a short-lived process that reads one job and writes its answer.

A worker does what is slow or outside the agent: it stretches a passphrase, asks the system keyring,
runs a foreign ``keyring`` program or the command of a recipe, asks an index about a credential, or
shows a prompt. It is started as::

    python -I [-S] main.py DIRECTORY...

with the directories of the packages that it imports, and closes itself (`harden`) before it reads
anything. Its arguments and its environment hold no secret. Request (stdin) and answer (stdout) have
one form, and so does an error, which never holds a secret::

    u32 length of the header (big endian) | msgpack map | raw secret, `size` bytes of it

    {"job": "argon2id", "seconds": 30, "size": 20, ...}
    {"ok": true, "size": 32, ...}
    {"ok": false, "code": "not-found", "message": "...", "hint": "..."}

If the agent is gone, it ends its own process group at its deadline; if the agent loses interest,
the agent ends it earlier. A secret may be a Python object here: the process ends a moment later.
"""

from __future__ import annotations

import os
import signal
import sys

if __name__ == "__main__":
    sys.path.extend(sys.argv[1:])  # where the imports below are found

from tokenward_agent.worker.job import KEY_SIZE, MAX_HEADER, MAX_SECRET, WATCHED, JobError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from tokenward_agent.worker.job import Header

_GRACE_SECONDS: Final = 2  # the agent's own deadline comes first


def read_job(descriptor: int) -> tuple[Header, bytes]:
    """Read one request. Raises EOFError for a short one, ValueError for one over the limits."""
    import msgpack

    length = int.from_bytes(_read(descriptor, 4), "big")
    if length > MAX_HEADER:
        raise ValueError("header too long")
    header: Header = msgpack.unpackb(_read(descriptor, length))
    if not 0 <= header["size"] <= MAX_SECRET:
        raise ValueError("secret too long")
    return header, _read(descriptor, header["size"])


def write_answer(descriptor: int, header: Header, secret: bytes = b"") -> None:
    """Write one answer."""
    import msgpack

    packed: Any = msgpack.packb({**header, "size": len(secret)})
    rest = memoryview(len(packed).to_bytes(4, "big") + packed + secret)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def work(header: Header, secret: bytes) -> tuple[Header, bytes]:
    """Do the job that `header` names. Raises JobError."""
    job: str = header["job"]
    if job == "argon2id":
        return {}, _argon2id(header, secret)
    if job.startswith("keyring-"):
        from tokenward_agent.worker.keyring_reach import NO_BUS, may_have_keyring

        if job == "keyring-probe" and not may_have_keyring(os.environ):
            raise JobError("no-keyring", NO_BUS)
        from tokenward_agent.worker import keyring_jobs

        return keyring_jobs.work(job, header, secret)
    if job.startswith("program-"):
        from tokenward_agent.worker import program_jobs

        return program_jobs.work(job, header, secret)
    if job == "command-run":
        from tokenward_agent.worker import command_jobs

        return command_jobs.work(header, secret)
    if job.startswith("index-"):
        from tokenward_protocol.index_reply import WebError
        from tokenward_relay import index_jobs

        try:
            return index_jobs.work(job, header, secret), b""
        except WebError as failed:
            raise JobError("index", str(failed), failed.hint) from None
    if job.startswith("consent-"):
        if sys.platform == "win32":
            raise JobError("no-screen", "No program for prompts exists on this system.")
        from tokenward_agent.worker import prompt_jobs

        return prompt_jobs.work(job, header, secret)
    raise JobError("bad-request", f"The job {job} does not exist.")


def main() -> None:
    """Do the one job of this process."""
    from tokenward_agent.harden import HardenError, deafen, harden

    deafen()
    os.chdir("/")
    try:
        harden()
    except HardenError as error:
        write_answer(1, {"ok": False, "code": "worker", "message": str(error), "hint": ""})
        return
    header, secret = read_job(0)
    if "environ" in header:  # started by a service manager, in an environment of its own
        os.environ.clear()
        os.environ.update(header["environ"])
    if header["job"] == "relay":  # lives as long as its run, not as long as a job
        from tokenward_relay import main as relay

        relay.work(header, secret, WATCHED)
    _end_after(int(header["seconds"]) + _GRACE_SECONDS)
    try:
        answer, result = work(header, secret)
    except JobError as error:
        failure = {"ok": False, "code": error.code, "message": str(error), "hint": error.hint}
        write_answer(1, failure)
    except Exception as error:  # noqa: BLE001 - keyrings raise anything; the text may be a secret
        name = type(error).__name__
        failure = {"code": "worker", "message": f"The job {header['job']} failed with {name}."}
        write_answer(1, {"ok": False, **failure, "hint": ""})
    else:
        write_answer(1, {"ok": True, **answer}, result)


def _end_after(seconds: int) -> None:
    """End this process and its children in so many seconds."""
    if sys.platform == "win32":  # the agent's job object ends the children
        from threading import Timer

        timer = Timer(seconds, os._exit, (1,))
        timer.daemon = True
        timer.start()
    else:
        signal.signal(signal.SIGALRM, lambda _number, _frame: os.killpg(0, signal.SIGKILL))
        signal.alarm(seconds)


def _argon2id(header: Header, passphrase: bytes) -> bytes:
    """Stretch a passphrase (RFC 9106) to 32 bytes; `memory` is in KiB."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    kdf = Argon2id(
        salt=header["salt"],
        length=KEY_SIZE,
        iterations=header["passes"],
        lanes=header["lanes"],
        memory_cost=header["memory"],
    )
    return kdf.derive(passphrase)


def _read(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = os.read(descriptor, size - len(data))
        if not more:
            raise EOFError("the request ended early")
        data += more
    return data


if __name__ == "__main__":
    sys.argv[0] = "tokenward"  # the name that KWallet shows in its prompt
    main()
