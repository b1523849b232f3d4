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
from typing import TYPE_CHECKING

from tokenward_agent.worker.job import JobError, variables_of
from tokenward_agent.worker.said import TAIL, Reading, last_line
from tokenward_protocol.command_output import MAX_OUTPUT, OutputError, read_output

if TYPE_CHECKING:
    from tokenward_agent.worker.job import Header


def work(header: Header, variables: bytes) -> tuple[Header, bytes]:
    """Run it with `variables`, each `NAME=VALUE` and a NUL; `now` is when it began.

    Raises JobError: `not-found` without a secret, else `command`.
    """
    program = os.path.basename(header["command"][0])
    try:
        process = subprocess.Popen(
            header["command"],
            # The property keeps our own keyring backend from asking the agent that waits for this.
            env=os.environ | variables_of(variables) | {"KEYRING_PROPERTY_ASIDE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        raise JobError("command", f"{program} cannot be run: {error.strerror}.") from None
    assert process.stdout is not None  # noqa: S101 - for the type checkers; it is a pipe
    assert process.stderr is not None  # noqa: S101 - likewise
    printed = Reading(process.stdout.fileno(), MAX_OUTPUT + 1)
    said = Reading(process.stderr.fileno(), TAIL)
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
