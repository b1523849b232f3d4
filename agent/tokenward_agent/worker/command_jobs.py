"""The job that runs the command of a recipe, once, and reads what it printed.

The program is named by an absolute path, and the agent has checked it. It runs in `/`, with stdin at
`/dev/null`, without a terminal, in the worker's process group, which ends at the agent's deadline. A
process that it leaves behind in that group ends with it; one that holds its output open delays nothing.

Of its stderr a failure quotes one line: the last that shows no secret. Nothing that it printed to
stdout is in any message.
"""

from __future__ import annotations

import os
import subprocess
from threading import Thread
from typing import IO, TYPE_CHECKING

from tokenward_agent.worker.job import JobError
from tokenward_protocol.command_output import MAX_OUTPUT, OutputError, read_output
from tokenward_protocol.secret_marks import may_show

if TYPE_CHECKING:
    from typing import Final

    from tokenward_agent.worker.job import Header

_TAIL: Final = 8192  # bytes of stderr that are looked at
_LINE: Final = 200  # characters of it that are quoted
_SHORT: Final = 4  # characters from which a word of the output is looked for in stderr
_MOMENT: Final = 0.5  # seconds to read what is left once the program has ended


def work(header: Header, variables: bytes) -> tuple[Header, bytes]:
    """Run it with `variables`, each `NAME=VALUE` and a NUL; `now` is when it began.

    Raises JobError: `not-found` without a secret, else `command`.
    """
    program = os.path.basename(header["command"][0])
    try:
        process = subprocess.Popen(
            header["command"],
            env=_environment(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        raise JobError("command", f"{program} cannot be run: {error.strerror}.") from None
    printed, said = _Reading(process.stdout, MAX_OUTPUT + 1), _Reading(process.stderr, _TAIL)
    status = process.wait()
    output, errors = printed.take(), said.take()
    if status:
        how = f"with status {status}" if status > 0 else f"by signal {-status}"
        line = last_line(errors, output)
        raise JobError("command", f"{program} failed {how}{f': {line}' if line else ''}.")
    if len(output) > MAX_OUTPUT:
        raise JobError("command", f"{program} printed more than {MAX_OUTPUT // 1024} KiB.")
    try:
        made = read_output(header["as"], output, header["now"])
    except OutputError as wrong:
        raise JobError("command", f"{program} {wrong}.") from None
    if made is None:
        raise JobError("not-found", f"{program} printed no credential.")
    return {"end": made.end}, made.secret


def _environment(variables: bytes) -> dict[str, str]:
    pairs = (os.fsdecode(each).partition("=") for each in variables.split(b"\0") if each)
    # The property keeps our own keyring backend from asking the agent that waits for this.
    return os.environ | {name: value for name, _, value in pairs} | {"KEYRING_PROPERTY_ASIDE": "1"}


class _Reading:
    """Reads a pipe in a thread and keeps the end of it, or the beginning of a longer stdout."""

    def __init__(self, pipe: IO[bytes] | None, most: int) -> None:
        assert pipe is not None  # noqa: S101 - for the type checkers; both are pipes
        self._descriptor, self._most, self._data = pipe.fileno(), most, b""
        self._thread = Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while more := os.read(self._descriptor, 65536):
            self._data = (self._data + more)[-self._most :]

    def take(self) -> bytes:
        """Return what was read, once the program has ended."""
        self._thread.join(_MOMENT)
        return self._data


def last_line(errors: bytes, output: bytes) -> str:
    """Return the last line of stderr that shows no secret, without a full stop; "" if none does."""
    words = {word for word in output.decode(errors="replace").split() if len(word) >= _SHORT}
    for line in reversed(errors.decode(errors="replace").splitlines()):
        text = "".join(char if char.isprintable() else " " for char in line).strip()
        if text and not may_show(text) and not any(word in text for word in words):
            return text[:_LINE].rstrip(". ")
    return ""
