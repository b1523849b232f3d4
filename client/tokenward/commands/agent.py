"""`auth agent ...`: start, stop, show and install the agent itself."""

from __future__ import annotations

import os
import sys

from tokenward import services
from tokenward.errors import CommandError
from tokenward.indexes import minted_tokens
from tokenward.services import installing
from tokenward.transport import autostart
from tokenward.transport.connect import AgentAbsent, connect
from tokenward.transport.connection import AgentLost
from tokenward.ui.formatting import count_of, join_words
from tokenward_protocol.messages import vaults_are
from tokenward_protocol.urls import display

if sys.platform == "win32":
    from tokenward.windows.process import Running
else:
    from tokenward.transport.process import Running

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward.commands import Namespace, Parser, Session
    from tokenward.transport.connect import Connection

STOP_SECONDS = 10
"""Seconds that a stopped agent has until its process must have ended."""

_EXAMPLES = {
    "start": ("auth agent start",),
    "stop": ("auth agent stop    a vault with a passphrase is closed at the next start",),
    "restart": ("auth agent restart    for instance after an upgrade",),
    "status": ("auth agent status --format json",),
    "install": ("auth agent install    once per user; `auth agent uninstall` undoes it",),
    "uninstall": ("auth agent uninstall",),
    "run": ("auth agent run    until Ctrl-C; service managers start `tokenward-agent`",),
}


def describe(parser: Parser, command: str) -> None:
    """Add examples."""
    parser.examples(*_EXAMPLES[command.rpartition(" ")[2]])


def run(arguments: Namespace, session: Session) -> None:
    """Run the action that the second word names."""
    action = arguments.command.rpartition(" ")[2]
    {
        "start": _start,
        "stop": _stop,
        "restart": _restart,
        "status": _status,
        "install": _install,
        "uninstall": _uninstall,
        "run": _run,
    }[action](session)


def _connect_running(session: Session) -> Connection | None:
    """Return a connection if an agent runs; never start one."""
    try:
        return session.connect(start=False)
    except AgentAbsent:
        return None


def _start(session: Session) -> None:
    running = _connect_running(session)
    connection = running or _start_and_connect(session)
    pid = connection.greeting["pid"]
    verb = "runs already" if running else "was started"
    session.terminal.say(f"The agent {verb} (pid {pid}).")
    session.write_json({"running": True, "pid": pid, "started": running is None})


def _start_and_connect(session: Session) -> Connection:
    """Start an agent even with TOKENWARD_NO_AUTOSTART: the user asked for this start."""
    environ = {k: v for k, v in session.environ.items() if k != "TOKENWARD_NO_AUTOSTART"}
    return connect(session.directory, start=True, asleep=services.is_asleep, environ=environ)


def _stop(session: Session) -> None:
    pid, shares, runs = _end(session)
    if pid is None:
        session.terminal.say("The agent is not running.")
    else:
        session.terminal.say(f"The agent was stopped (pid {pid}).")
    _say_ended(shares, session)
    gone = _sockets(shares)
    session.write_json(
        {"running": False, "pid": None, "stopped": pid, "unshared": gone, "runs": runs}
    )


def _restart(session: Session) -> None:
    before, ended, runs = _end(session)
    shares = [each for each in ended if not each.get("declared")]  # the others are open again
    connection = _start_and_connect(session)
    pid = connection.greeting["pid"]
    session.terminal.say(f"The agent was {'re' if before else ''}started (pid {pid}).")
    _say_ended(shares, session)
    _say_closed(connection, session)
    gone = _sockets(shares)
    session.write_json(
        {"running": True, "pid": pid, "stopped": before, "unshared": gone, "runs": runs}
    )


def _say_ended(shares: list[dict[str, Any]], session: Session) -> None:
    """Name the shared sockets that ended with the agent; only the declared ones come back."""
    for share in shares:
        limits = f" ({join_words(share['projects'])})" if share["projects"] else ""
        service = display(share["service"])
        session.terminal.warn(f"The share at {share['socket']} is gone: {service}{limits}.")
    if not all(share.get("declared") for share in shares):
        session.terminal.hint("`auth share` shares it again")


def _sockets(shares: list[dict[str, Any]]) -> list[str]:
    """Return the sockets of shares, each of which may have several services."""
    return list(dict.fromkeys(share["socket"] for share in shares))


def _say_closed(connection: Connection, session: Session) -> None:
    """Name the vaults that wait for a passphrase; the others open at the next request."""
    closed = [
        vault["provider"]
        for vault in _status_of(connection).get("vaults", [])
        if vault["state"] == "closed"
        and {slot["kind"] for slot in vault["slots"]} == {"passphrase"}
    ]
    if closed:
        session.terminal.say(f"The {vaults_are(closed)} closed now.", "`auth unlock`")


def _end(session: Session) -> tuple[int | None, list[dict[str, Any]], int]:
    """Stop the agent and wait until its process is gone.

    Return its pid, or None if no agent ran, its shares, and how many runs ended. Raises
    CommandError if the user wants those to go on.
    """
    connection = _connect_running(session)
    if connection is None:
        return None, [], 0
    pid = int(connection.greeting["pid"])
    process = Running(pid)
    tokens, status = _minted_tokens(connection), _status_of(connection)
    shares = [each for each in status.get("shares", []) if not each.get("problem")]
    runs = list(status.get("runs", []))
    _agree_to_end(runs, session)
    connection.stop()
    if not process.has_ended(STOP_SECONDS):
        raise CommandError(
            f"The agent (pid {pid}) was told to stop, but it is still running.", f"`kill {pid}`"
        )
    minted_tokens.burn(session, tokens)
    return pid, shares, len(runs)


def _agree_to_end(runs: list[dict[str, Any]], session: Session) -> None:
    """Say which runs end with the agent, and ask on a terminal. Raises CommandError for a no."""
    if not runs:
        return
    for run in runs:
        session.terminal.warn(
            f"{run['program'] or 'A command'} (pid {run['pid']}) loses its relay to"
            f" {display(run['service'])}."
        )
    session.terminal.say(f"This ends {count_of(len(runs), 'run')} of `auth exec`.")
    if session.terminal.is_there() and not session.terminal.confirm("End the agent?"):
        raise CommandError("The agent goes on.")


def _status_of(connection: Connection) -> dict[str, Any]:
    """Return the agent's status; an empty map if it does not answer."""
    try:
        return dict(connection.ask("status").header)
    except CommandError:
        return {}


def _minted_tokens(connection: Connection) -> list[minted_tokens.HeldToken]:
    """Return the tokens to revoke after the agent's end; [] if it does not answer."""
    try:
        return minted_tokens.held_tokens(connection.ask)
    except CommandError:
        return []


def _status(session: Session) -> None:
    connection = _connect_running(session)
    found: dict[str, Any] = dict.fromkeys(("pid", "locked", "version", "socket"))
    if connection is not None:
        try:
            header = connection.ask("status").header
            found = {key: header[key] for key in found}
        except AgentLost:
            connection = None  # it was just ending
    manager = services.find_manager(session.environ)
    service = manager.service() if manager is not None else None
    if session.json:
        shown = installing.to_json(manager, service)
        session.write_json({"running": connection is not None, **found, "service": shown})
        return
    if connection is None:
        lines = ["The agent is not running."]
    else:
        state = "locked" if found["locked"] else "not locked"
        lines = [
            f"The agent {found['version']} is running (pid {found['pid']}), {state}.",
            f"It listens at {found['socket']}.",
        ]
    if manager is not None and service is not None:
        places = session.settings.directories
        lines.append(installing.describe(manager.name, service, places, session.environ))
    session.terminal.lines(lines)


def _install(session: Session) -> None:
    """Hand the agent to the service manager; a running agent is stopped first."""
    manager = services.find_manager(session.environ)
    if manager is None:
        session.terminal.say(
            "No service manager runs here that tokenward knows; the agent is started on demand."
        )
        session.write_json({"manager": None, "installed": False, "written": [], "pid": None})
        return
    job = installing.make_job(session.settings.directories, session.environ)
    installed = installing.is_installed(manager, job)
    stopped, ended, _ = (None, [], 0) if installed else _end(session)
    shares = [each for each in ended if not each.get("declared")]
    written = manager.install(job)
    try:
        pid = _start_and_connect(session).greeting["pid"]
    except CommandError as failed:
        manager.uninstall()
        raise CommandError(
            f"The agent does not start under {manager.name}, so it was uninstalled: {failed}",
            "`auth agent run` and the log of the service manager may show the cause",
        ) from None
    if stopped is not None:
        session.terminal.say(f"The running agent was stopped (pid {stopped}).")
    _say_ended(shares, session)
    for path in written:
        session.terminal.say(f"Wrote {path}.")
    already = "" if written else " already"
    session.terminal.say(f"{manager.name}{already} starts the agent, which is running (pid {pid}).")
    session.write_json({"manager": manager.name, "installed": True, "written": written, "pid": pid})


def end_everywhere(session: Session) -> list[str]:
    """Stop the agent, and keep the service manager from starting it; return the removed paths."""
    _say_ended(_end(session)[1], session)
    manager = services.find_manager(session.environ)
    return manager.uninstall() if manager is not None and manager.service() is not None else []


def _uninstall(session: Session) -> None:
    """Undo all of `_install`; then the agent is started on demand again."""
    manager = services.find_manager(session.environ)
    removed: list[str] = []
    if manager is not None and manager.service() is not None:
        removed = end_everywhere(session)
    if removed:
        session.terminal.say(f"Removed {join_words(removed)}.")
    else:
        session.terminal.say("The agent is not installed in a service manager.")
    name = None if manager is None else manager.name
    session.write_json({"manager": name, "installed": False, "removed": removed})


def _run(session: Session) -> None:
    """Replace this process by the agent."""
    connection = _connect_running(session)
    if connection is not None:
        raise CommandError(
            f"The agent is already running (pid {connection.greeting['pid']}).", "`auth agent stop`"
        )
    places = session.settings.directories
    if services.is_asleep(installing.own_socket(places, session.environ), session.environ):
        raise CommandError(
            "The service manager listens at the agent's address and starts it on demand.",
            "`auth agent uninstall` ends that",
        )
    command = [*autostart.interpreter(), "-m", "tokenward_agent", "--directory", session.directory]
    try:
        os.execve(sys.executable, command, autostart.agent_environment(session.environ))  # noqa: S606 - no shell is the point
    except OSError as failed:
        raise CommandError(f"The agent cannot be started: {failed.strerror}.") from None
