"""Starting the agent on demand, and returning when it answers.

The new process inherits only what it needs: a short list of variables, one descriptor on which it
reports that it serves, no terminal, its own session, and an isolated interpreter, so that neither
PYTHONPATH nor a file in the working directory can put code into it. It hardens itself.
"""

from __future__ import annotations

import os
import sys
from time import monotonic

from tokenward.errors import AgentUnreachable
from tokenward.files import own_folders
from tokenward_os.files import SAFE
from tokenward_os.user import NEEDED
from tokenward_protocol.messages import VARIABLES

if sys.platform == "win32":
    from tokenward.windows.spawning import Spawned
else:
    from tokenward.transport.spawn import Spawned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

READY, RUNNING = "ready", "running"
"""The results of a start: the new agent serves, or another one holds the address."""

START_SECONDS = 30.0 if sys.platform == "win32" else 8.0
"""Seconds until a new agent must serve; Windows scans each file that it loads."""

MAX_LOG = 256 * 1024
"""The size in bytes from which the log is emptied when an agent is started."""

_KEPT = {*NEEDED, *VARIABLES.values()}
_KEPT_FAMILIES = ("LC_", "XDG_", "TOKENWARD_")
_DROPPED = {"TOKENWARD_PASSPHRASE_FILE", "TOKENWARD_ASKPASS"}

_PROGRAM = "import sys; from tokenward_agent.__main__ import main; sys.exit(main())"


def agent_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the part of the starter's environment that a new agent gets."""
    kept = {
        name: value
        for name, value in environ.items()
        if (name in _KEPT or name.startswith(_KEPT_FAMILIES)) and name not in _DROPPED
    }
    if kept.get("TOKENWARD_CONFIG"):  # relative to the starter's directory; an agent is in `/`
        kept["TOKENWARD_CONFIG"] = os.path.abspath(kept["TOKENWARD_CONFIG"])
    return kept


def start(directory: str, socket: str, state: str, environ: Mapping[str, str]) -> str:
    """Start an agent for `directory` at `socket`; return READY or RUNNING as it reports.

    All paths are absolute. Raises AgentUnreachable with the agent's own sentence if it cannot
    serve, and if it reports nothing in time; then it is killed.
    """
    if not sys.executable:
        raise AgentUnreachable(
            "The agent cannot be started from here: this program has no Python interpreter.",
            "`auth agent start` starts it",
        )
    options = ("--directory", directory, "--socket", socket, "--state", state)
    log = _open_log(state)
    try:
        agent = Spawned([*interpreter(), "-c", _PROGRAM, *options], agent_environment(environ), log)
    except OSError as error:
        raise AgentUnreachable(
            f"The agent cannot be started: {error.strerror}.", "`auth agent run` may show the cause"
        ) from None
    finally:
        if log is not None:
            os.close(log)
    word = agent.first_line(monotonic() + START_SECONDS)
    if word == READY:
        agent.leave()
        return READY
    if not word:
        agent.kill()
    agent.wait()  # it ends after its report
    if word == RUNNING:
        return RUNNING
    raise AgentUnreachable(
        word.removeprefix("error: ") or "The agent does not start.",
        "" if word else f"{log_path(state)} may show the cause; so may `auth agent run`",
    )


def interpreter() -> list[str]:
    """Return the start of an agent's command: Python without the user's settings and packages.

    From 3.14 on it also refuses code that another process wants to inject (PEP 768).
    """
    deaf = ["-X", "disable-remote-debug"] if sys.version_info >= (3, 14) else []
    return [sys.executable, "-I", *deaf]


def log_path(state: str) -> str:
    """Return the log of agents that were started on demand."""
    return os.path.join(state, "agent.log")


def _open_log(state: str) -> int | None:
    """Open the log for appending; None if that fails, which is no reason to stop."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | SAFE
    try:
        own_folders.make(state)
        log = os.open(log_path(state), flags, 0o600)
    except (OSError, own_folders.UnsafePlaceError):
        return None
    if os.fstat(log).st_size > MAX_LOG:
        os.ftruncate(log, 0)
    return log
