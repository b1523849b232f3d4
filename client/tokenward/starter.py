"""Starting the agent on demand, and returning when it answers.

The new process gets what it needs and nothing that its starter happens to have: a short list of
variables, no descriptors but the one on which it says that it serves, no terminal, its own
session, and an isolated interpreter, so that neither PYTHONPATH nor a file in the working
directory can slip code into it. How it is hardened is its own affair.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from select import select
from time import monotonic

from tokenward.stream import AgentUnreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

READY, RUNNING = "ready", "running"
"""What a start comes to: the new agent serves, or another one holds the address."""

START_SECONDS = 8.0
"""How long a new agent may take until it serves."""

MAX_LOG = 256 * 1024
"""Bytes past which the log starts anew when an agent is started."""

_KEPT = {
    "HOME",
    "USER",
    "LOGNAME",
    "PATH",
    "LANG",
    "TZ",
    "TMPDIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
}
_KEPT_FAMILIES = ("LC_", "XDG_", "TOKENWARD_")
_DROPPED = {"TOKENWARD_PASSPHRASE_FILE", "TOKENWARD_ASKPASS"}

_PROGRAM = "import sys; from tokenward_agent.__main__ import main; sys.exit(main())"


def agent_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a new agent may know of the starter's environment."""
    kept = {
        name: value
        for name, value in environ.items()
        if (name in _KEPT or name.startswith(_KEPT_FAMILIES)) and name not in _DROPPED
    }
    if kept.get("TOKENWARD_CONFIG"):  # it is relative to where the starter is; an agent is in `/`
        kept["TOKENWARD_CONFIG"] = os.path.abspath(kept["TOKENWARD_CONFIG"])
    return kept


def start(directory: str, socket: str, state: str, environ: Mapping[str, str]) -> str:
    """Start an agent for `directory` at `socket`; return READY or RUNNING once it says so.

    All paths are absolute. Raises AgentUnreachable with the agent's own sentence where it cannot
    serve, and where it says nothing in time; it is ended then.
    """
    if not sys.executable:
        raise AgentUnreachable(
            "The agent cannot be started from here: this program has no Python interpreter.",
            "`auth agent start` starts it",
        )
    ours, theirs = os.pipe()
    try:
        try:
            process = _spawn(directory, socket, state, environ, theirs)
        except OSError as error:
            raise AgentUnreachable(
                f"The agent cannot be started: {error.strerror}.", "`auth agent run` may say more"
            ) from None
        finally:
            os.close(theirs)
        word = _first_line(ours, monotonic() + START_SECONDS)
    finally:
        os.close(ours)
    if word == READY:
        return READY
    if not word:
        _end(process)
    with suppress(ChildProcessError):  # where our own starter ignored SIGCHLD, it is reaped already
        os.waitpid(process, 0)  # it has said its last word
    if word == RUNNING:
        return RUNNING
    raise AgentUnreachable(
        word.removeprefix("error: ") or "The agent does not start.",
        "" if word else f"{log_path(state)} may say why; so does `auth agent run`",
    )


def interpreter() -> list[str]:
    """Return how an agent's Python is started: apart from the user's own settings and packages.

    From 3.14 on also deaf to code that another process would have it run (PEP 768).
    """
    deaf = ["-X", "disable_remote_debug"] if sys.version_info >= (3, 14) else []
    return [sys.executable, "-I", *deaf]


def log_path(state: str) -> str:
    """Return where agents that were started on demand write what went wrong."""
    return f"{state}/agent.log"


def _spawn(directory: str, socket: str, state: str, environ: Mapping[str, str], ready: int) -> int:
    number = 4 if ready == 3 else 3  # a descriptor that is duplicated onto itself would be closed
    options = ("--directory", directory, "--socket", socket, "--state", state)
    log = _open_log(state)
    try:
        return os.posix_spawn(
            sys.executable,
            [*interpreter(), "-c", _PROGRAM, *options, "--ready-fd", str(number)],
            agent_environment(environ),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0),
                (os.POSIX_SPAWN_DUP2, 0, 1),
                (os.POSIX_SPAWN_DUP2, 0 if log is None else log, 2),
                *((os.POSIX_SPAWN_CLOSE, inherited) for inherited in _inheritable()),
                (os.POSIX_SPAWN_DUP2, ready, number),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT),
        )
    finally:
        if log is not None:
            os.close(log)


def _inheritable() -> list[int]:
    """Return the descriptors above stderr that a child would get from us."""
    found = []
    for name in os.listdir("/dev/fd"):
        try:
            if int(name) > 2 and os.get_inheritable(int(name)):
                found.append(int(name))
        except OSError:
            continue  # the listing's own descriptor, closed by now
    return found


def _open_log(state: str) -> int | None:
    """Open the log for appending; None where that is not possible, which keeps nobody from work."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        os.makedirs(state, mode=0o700, exist_ok=True)
        log = os.open(log_path(state), flags, 0o600)
    except OSError:
        return None
    if os.fstat(log).st_size > MAX_LOG:
        os.ftruncate(log, 0)
    return log


def _first_line(descriptor: int, deadline: float) -> str:
    """Return the line that the agent writes, without its end; "" where none comes in time."""
    said = b""
    while not said.endswith(b"\n"):
        readable, _, _ = select([descriptor], [], [], max(0, deadline - monotonic()))
        more = os.read(descriptor, 4096) if readable else b""
        if not more:
            return ""
        said += more
    return said.decode("utf-8", "replace").strip()


def _end(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
