"""Running the command of a recipe in this process' place: by its environment, for what it makes.

`auth refresh` does it at the user's terminal, and a client whose agent leaves a command to what asks
(`run-in = "asker"`). The agent says which command that is, after it has judged the program. So only
the agent of this user's own directory is believed: what TOKENWARD_SOCK names may be another host's
end of a socket, and a program that it names is never run. Nothing of the output is shown.
"""

from __future__ import annotations

import os
import subprocess
from time import time

from tokenward.transport.connection import AgentError
from tokenward_protocol.command_output import MAX_OUTPUT, OutputError, read_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tokenward_protocol.command_output import Output


def run(
    command: Sequence[str],
    form: str,
    environ: Mapping[str, str],
    *,
    program: str,
    seconds: float | None = None,
) -> Output:
    """Run a command and return what it made; `program` names it in messages.

    It has the terminal and no deadline, or with `seconds` neither stdin nor more time than that.
    Raises AgentError with code `command`.
    """
    if environ.get("TOKENWARD_SOCK"):
        raise _error(
            "The agent that TOKENWARD_SOCK names may be on another host, so no command is run for it.",
            "unset TOKENWARD_SOCK",
        )
    try:
        done = subprocess.run(
            command,
            cwd="/",
            env={**environ, "KEYRING_PROPERTY_ASIDE": "1"},
            stdin=None if seconds is None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=seconds,
            check=False,
        )
    except OSError as error:
        raise _error(f"{program} cannot be run: {error.strerror}.") from None
    except subprocess.TimeoutExpired:
        done = None  # the exception holds what was printed
    if done is None:
        raise _error(f"{program} did not end within {seconds:.0f} seconds.")
    if done.returncode:
        raise _error(f"{program} failed with status {done.returncode}.")
    if len(done.stdout) > MAX_OUTPUT:
        raise _error(f"{program} printed more than {MAX_OUTPUT // 1024} KiB.")
    wrong = ""
    try:
        made = read_output(form, done.stdout, int(time()))
    except OutputError as error:
        made, wrong = None, str(error)
    if made is None:  # outside the handler, so that no exception keeps the output alive
        raise _error(f"{program} {wrong or 'printed no credential'}.")
    return made


def name_of(command: Sequence[str]) -> str:
    """Return how messages name the program of a command."""
    return os.path.basename(command[0])


def _error(message: str, hint: str = "") -> AgentError:
    return AgentError("command", message, hint, {})
