"""`auth agent ...`: the resident process itself."""

from __future__ import annotations

import os
import sys

from tokenward import services
from tokenward.errors import CommandError
from tokenward.indexes import minted_tokens
from tokenward.services import installing
from tokenward.transport import autostart
from tokenward.transport.connect import AgentAbsent, connect
from tokenward.ui.formatting import listed
from tokenward_protocol.urls import display

if sys.platform == "win32":
    from tokenward.windows.running import Running
else:
    from tokenward.transport.process import Running

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from tokenward.session import Session
    from tokenward.transport.connect import Connection
    from tokenward.ui.argument_parser import Parser

STOP_SECONDS = 10
"""How long a stopped agent may take until its process is gone."""

_EXAMPLES = {
    "start": ("auth agent start",),
    "stop": ("auth agent stop    what needs a passphrase is closed when it starts again",),
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
    """Do what the second word says."""
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


def _running(session: Session) -> Connection | None:
    """Return a connection if an agent runs; never starts one."""
    try:
        return session.connect(start=False)
    except AgentAbsent:
        return None


def _start(session: Session) -> None:
    running = _running(session)
    connection = running or _started(session)
    pid = connection.greeting["pid"]
    verb = "runs already" if running else "was started"
    session.terminal.say(f"The agent {verb} (pid {pid}).")
    session.done({"running": True, "pid": pid, "started": running is None})


def _started(session: Session) -> Connection:
    """Start one, whatever TOKENWARD_NO_AUTOSTART says: this is no start on demand."""
    environ = {k: v for k, v in session.environ.items() if k != "TOKENWARD_NO_AUTOSTART"}
    return connect(session.directory, start=True, asleep=services.asleep, environ=environ)


def _stop(session: Session) -> None:
    pid, shares = _end(session)
    if pid is None:
        session.terminal.say("The agent is not running.")
    else:
        session.terminal.say(f"The agent was stopped (pid {pid}).")
    _say_gone(shares, session)
    gone = [share["socket"] for share in shares]
    session.done({"running": False, "pid": None, "stopped": pid, "unshared": gone})


def _restart(session: Session) -> None:
    before, shares = _end(session)
    pid = _started(session).greeting["pid"]
    session.terminal.say(f"The agent was {'re' if before else ''}started (pid {pid}).")
    _say_gone(shares, session)
    gone = [share["socket"] for share in shares]
    session.done({"running": True, "pid": pid, "stopped": before, "unshared": gone})


def _say_gone(shares: list[dict[str, Any]], session: Session) -> None:
    """Say what was shared and is gone with the agent, which remembers nothing of it."""
    for share in shares:
        limits = f" ({listed(share['projects'])})" if share["projects"] else ""
        service = display(share["service"])
        session.terminal.warn(f"What was shared at {share['socket']} is gone: {service}{limits}.")
    if shares:
        session.terminal.hint("`auth share` shares it again")


def _end(session: Session) -> tuple[int | None, list[dict[str, Any]]]:
    """Stop the agent and wait until its process is gone.

    Return its pid, None if none ran, and what it shared.
    """
    connection = _running(session)
    if connection is None:
        return None, []
    pid = int(connection.greeting["pid"])
    process = Running(pid)
    tokens, shares = _minted(connection), _shared(connection)
    connection.stop()
    if not process.has_ended(STOP_SECONDS):
        raise CommandError(
            f"The agent (pid {pid}) was told to stop, and still runs.", f"`kill {pid}`"
        )
    minted_tokens.burn(session, tokens)
    return pid, shares


def _shared(connection: Connection) -> list[dict[str, Any]]:
    """Return what ends with the agent; one that does not answer is stopped, too."""
    try:
        return list(connection.ask("status").header.get("shares", []))
    except CommandError:
        return []


def _minted(connection: Connection) -> list[minted_tokens.Minted]:
    """Return what ends with the agent, to be revoked then; one that does not answer is stopped, too."""
    try:
        return minted_tokens.held(connection.ask)
    except CommandError:
        return []


def _status(session: Session) -> None:
    connection = _running(session)
    found: dict[str, Any] = dict.fromkeys(("pid", "locked", "version", "socket"))
    if connection is not None:
        header = connection.ask("status").header
        found = {key: header[key] for key in found}
    manager = services.here(session.environ)
    service = manager.service() if manager is not None else None
    if session.json:
        shown = installing.shown(manager, service)
        session.done({"running": connection is not None, **found, "service": shown})
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
        lines.append(installing.described(manager.name, service, places, session.environ))
    session.terminal.lines(lines)


def _install(session: Session) -> None:
    """Have the service manager look after the agent; the one that runs makes way."""
    manager = services.here(session.environ)
    if manager is None:
        session.terminal.say(
            "No service manager answers here that tokenward knows; the agent goes on being started"
            " when it is needed."
        )
        session.done({"manager": None, "installed": False, "written": [], "pid": None})
        return
    job = installing.job(session.settings.directories, session.environ)
    stopped, shares = (None, []) if installing.is_so(manager, job) else _end(session)
    written = manager.install(job)
    try:
        pid = _started(session).greeting["pid"]
    except CommandError as failed:
        manager.uninstall()
        raise CommandError(
            f"The agent does not start under {manager.name}, so nothing of it was kept: {failed}",
            "`auth agent run` may say more, and so may the log of that manager",
        ) from None
    if stopped is not None:
        session.terminal.say(f"The agent that ran was stopped (pid {stopped}).")
    _say_gone(shares, session)
    for path in written:
        session.terminal.say(f"Written: {path}.")
    already = "" if written else " already"
    session.terminal.say(
        f"The agent is looked after by {manager.name}{already}, and runs (pid {pid})."
    )
    session.done({"manager": manager.name, "installed": True, "written": written, "pid": pid})


def _uninstall(session: Session) -> None:
    """Undo `_install`, all of it; from then on the agent is started on demand again."""
    manager = services.here(session.environ)
    removed: list[str] = []
    if manager is not None and manager.service() is not None:
        _say_gone(_end(session)[1], session)
        removed = manager.uninstall()
    if removed:
        session.terminal.say(f"Removed: {listed(removed)}.")
    else:
        session.terminal.say("No service manager looks after the agent.")
    name = None if manager is None else manager.name
    session.done({"manager": name, "installed": False, "removed": removed})


def _run(session: Session) -> None:
    """Become the agent."""
    connection = _running(session)
    if connection is not None:
        raise CommandError(
            f"The agent runs already (pid {connection.greeting['pid']}).", "`auth agent stop`"
        )
    places = session.settings.directories
    if services.asleep(installing.own_socket(places, session.environ), session.environ):
        raise CommandError(
            "The service manager listens at the agent's address, and starts it when it is needed.",
            "`auth agent uninstall` ends that",
        )
    command = [*autostart.interpreter(), "-m", "tokenward_agent", "--directory", session.directory]
    try:
        os.execve(sys.executable, command, autostart.agent_environment(session.environ))  # noqa: S606 - no shell is the point
    except OSError as failed:
        raise CommandError(f"The agent cannot be run: {failed.strerror}.") from None
