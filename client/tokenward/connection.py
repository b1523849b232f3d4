"""Finding the agent of a credentials directory, and starting it on demand.

    with connect(directory, start=True) as agent:
        answer = agent.ask("fetch", service="https://index.example/")

Which agent that is: the one that `$TOKENWARD_SOCK` names, else the one at this user's own address
for the directory. How it is talked to is in exchange.py.
"""

from __future__ import annotations

import os
import sys
from time import monotonic, sleep

from tokenward.errors import AgentAbsent, AgentUnreachable
from tokenward.exchange import ANSWER_SECONDS, AgentError, AgentLost, Answer, Connection
from tokenward.stream import open_stream
from tokenward_protocol import places

if sys.platform == "win32":
    from tokenward import pipe_address as address
else:
    from tokenward import address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ANSWER_SECONDS",
    "AgentAbsent",
    "AgentError",
    "AgentUnreachable",
    "Answer",
    "Connection",
    "connect",
]

_ROUNDS = 5
"""How often it is looked for an agent again when one was started, replaced or is just starting."""


def connect(
    directory: str,
    *,
    start: bool,
    replace: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Connection:
    """Return a connection to the agent of a credentials directory (absolute, links resolved).

    With `start` one is started where none runs, unless `TOKENWARD_NO_AUTOSTART` or
    `TOKENWARD_SOCK` is set. With `replace` an older one that loses nothing by it makes way for one
    of this version. Raises AgentUnreachable (AgentAbsent: none runs) and AgentError.
    """
    environ = os.environ if environ is None else environ
    if given := environ.get("TOKENWARD_SOCK"):
        return _connect_to(given)
    home = address.home(environ)
    if home is None:
        raise AgentUnreachable("This user has no home directory.", "set HOME")
    state = places.state_directory(sys.platform, environ, home)
    ordinary = os.path.realpath(places.data_directory(sys.platform, environ, home))
    may_start = start and environ.get("TOKENWARD_NO_AUTOSTART", "") in {"", "0"}
    look = address.made_runtime_directory if may_start else address.runtime_directory
    base = look(environ, state)
    if base is None and may_start:
        raise AgentUnreachable(
            f"There is no private directory for the agent's socket, and {state}/run cannot be one.",
            f"`chmod 700 {state}/run`, or set XDG_RUNTIME_DIR to a directory of your own",
        )
    if base is None:
        raise _absent(start)
    for _ in range(_ROUNDS):
        free = None
        for path in address.addresses(base, directory, ordinary):
            try:
                found = _greeted(path, directory) if start else _awake(path, directory, environ)
            except AgentAbsent:
                free = free or path
                continue
            except AgentLost:
                break  # it was just ending, or its manager has given up: who is there now?
            if found is None:
                continue  # it serves another directory
            if not (replace and may_start and found.may_be_replaced()):
                return found
            found.stop()  # where a manager listens, its new agent is met in the next round
            break
        else:
            if free is None:
                break
            if not may_start:
                raise _absent(start)
            _start(free, directory, state, environ)
    raise AgentUnreachable("The agent cannot be reached.", "`auth agent restart`")


def _connect_to(path: str) -> Connection:
    """Connect to the agent that the user named."""
    try:
        connection = Connection(open_stream(path), None)
    except AgentAbsent:
        raise AgentAbsent(
            f"No agent answers at {path}, which TOKENWARD_SOCK names.",
            "start it, or unset TOKENWARD_SOCK",
        ) from None
    try:
        connection.greet()
    except BaseException:
        connection.close()
        raise
    return connection


def _greeted(path: str, directory: str) -> Connection | None:
    """Connect to an agent of our own; None where it serves another directory."""
    stream = open_stream(path)
    if stream.stranger is not None:
        stream.close()
        raise AgentUnreachable(
            f"The agent at {path} belongs to another user (uid {stream.stranger});"
            " nothing was sent to it.",
            f"`rm {path}`",
        )
    connection = Connection(stream, directory)
    try:
        connection.greet()
    except BaseException as error:
        connection.close()
        if isinstance(error, AgentError) and error.code == "other-directory":
            return None
        raise
    return connection


def _awake(path: str, directory: str, environ: Mapping[str, str]) -> Connection | None:
    """Connect as `_greeted` does, unless it is by that that a service manager would start an agent."""
    from tokenward.services import asleep

    if asleep(path, environ):
        raise _absent(wanted=False)
    return _greeted(path, directory)


def _start(path: str, directory: str, state: str, environ: Mapping[str, str]) -> None:
    """Start an agent; where another one is just starting or ending, wait a moment for it."""
    from tokenward.starter import RUNNING, start

    if start(directory, path, state, environ) != RUNNING:
        return
    deadline = monotonic() + 1
    while monotonic() < deadline:
        try:
            open_stream(path).close()
        except AgentAbsent:
            sleep(0.02)
        else:
            return


def _absent(wanted: bool) -> AgentAbsent:
    if wanted:
        return AgentAbsent(
            "No agent is running, and TOKENWARD_NO_AUTOSTART keeps it from being started.",
            "`auth agent start` starts it",
        )
    return AgentAbsent("No agent is running.", "`auth agent start` starts it")
