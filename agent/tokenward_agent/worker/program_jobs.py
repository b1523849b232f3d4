"""The jobs that run a foreign ``keyring`` program.

The interface is that of the library's own command, which other programs copy: ``get SERVICE USER``
prints the password, ``set SERVICE USER`` reads it from stdin, ``del SERVICE USER`` removes it, and
``--mode creds get SERVICE`` prints user name and password on a line each. A miss is exit status 1
without output. A service or a user name that begins with ``-`` would be an option there, so such a
name is refused.

The program is named by an absolute path, runs in `/` with stdin at `/dev/null`, and shares the
worker's process group, which ends at the agent's deadline. Of its stderr a failed reading of a
credential quotes the last line that shows no secret, and no other job anything. More than 64 KiB of
output are refused. The library's own command may be configured to ask tokenward first, which would
ask the agent that waits for this job: a property in the environment makes that backend stand aside.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from tokenward_agent.worker.job import (
    MAX_SECRET,
    UNATTENDED,
    JobError,
    decode_key,
    encode_key,
    variables_of,
)
from tokenward_agent.worker.said import TAIL, Reading, last_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from tokenward_agent.worker.job import Header


_CRASHED: Final = b"Traceback (most recent call last)"
"""What stderr has if a plug-in of the library's own command raised something."""


def work(job: str, header: Header, secret: bytes) -> tuple[Header, bytes]:
    """Do one of the jobs below. Raises JobError, never with the program's output."""
    jobs: dict[str, Callable[[Header, bytes], bytes]] = {
        "program-get": _get,
        "program-set": _set,
        "program-delete": _delete,
    }
    if job == "program-read":
        os.environ.update(UNATTENDED | variables_of(secret))
        return _read(header)
    return {}, jobs[job](header, secret)


def _get(header: Header, _secret: bytes) -> bytes:
    program = header["program"]
    printed = _run(program, "get", _item(header))
    if printed is None:
        raise JobError("not-found", f"The program {program} does not have the vault's key.")
    return decode_key(printed, f"the program {program}")


def _set(header: Header, secret: bytes) -> bytes:
    value = encode_key(secret) + b"\n"
    program = header["program"]
    if _run(program, "set", _item(header), value) is None:
        raise JobError("program-failed", f"The program {program} did not store the vault's key.")
    return b""


def _delete(header: Header, _secret: bytes) -> bytes:
    program = header["program"]
    if _run(program, "del", _item(header)) is None:
        raise JobError("not-found", f"The program {program} does not have the vault's key.")
    return b""


def _read(header: Header) -> tuple[Header, bytes]:
    """Look for a credential under each of `services` in turn."""
    program, username = header["program"], header["username"]
    words: list[str] = []
    for service in header["services"]:
        printed = _run(program, "get", [service, username], words=words)
        if printed is not None:
            return {"service": service, "username": username}, printed
    if words:
        raise JobError("command", f"The program {program} failed with status 1: {words[0]}.")
    raise JobError(
        "not-found",
        f"The program {program} has no password of {username} for {header['services'][0]}.",
        "`auth login` without `--adopt` stores one",
    )


def _item(header: Header) -> list[str]:
    return [header["service"], header["username"]]


def _run(
    program: str,
    doing: str,
    names: list[str],
    given: bytes | None = None,
    *,
    words: list[str] | None = None,
) -> bytes | None:
    """Return the program's output without the last line's end, or None for a miss.

    With `words` a failure has the last line that it said; that of a miss is added to them.
    """
    if any(name.startswith("-") for name in names):
        raise JobError(
            "program-failed",
            f"The program {program} cannot be asked for a name that begins with `-`.",
            "choose another provider with `--keyring-provider`",
        )
    stdin = subprocess.DEVNULL if given is None else subprocess.PIPE
    try:
        process = subprocess.Popen(
            [program, doing, *names],
            env={**os.environ, "KEYRING_PROPERTY_ASIDE": "1"},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if words is None else subprocess.PIPE,
        )
    except OSError as error:
        raise JobError(
            "program-failed",
            f"The program {program} cannot be run: {error.strerror}.",
            "choose another provider with `--keyring-provider`",
        ) from None
    if given is not None and process.stdin is not None:
        try:
            process.stdin.write(given)
            process.stdin.close()
        except BrokenPipeError:
            pass
    said = Reading(process.stderr.fileno(), TAIL) if process.stderr is not None else None
    assert process.stdout is not None  # noqa: S101 - for the type checkers; it is a pipe
    printed = process.stdout.read(MAX_SECRET + 1)
    if len(printed) > MAX_SECRET:
        process.kill()
        raise JobError("program-failed", f"The program {program} printed more than 64 KiB.")
    status = process.wait()
    errors = said.take() if said is not None and status else b""
    line = last_line(errors, printed)
    if status == 1 and not printed and _CRASHED not in errors:
        if words is not None and line:
            words.append(line)
        return None
    if status != 0:
        code, told = ("command", f": {line}") if line else ("program-failed", "")
        raise JobError(code, f"The program {program} failed with status {status}{told}.")
    return printed.removesuffix(b"\n").removesuffix(b"\r")
