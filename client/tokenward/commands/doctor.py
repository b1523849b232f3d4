"""`auth doctor`: test each protection on this machine, and name the command that repairs it.

It starts the agent, because most checks need a running one, and changes nothing else. A problem is
a promise that does not hold here, and makes the exit status 2; a warning can be improved.
"""

from __future__ import annotations

import site
import sys
import sysconfig
from time import time

from tokenward.checks import PROBLEM, WARNING, agent, machine, ok, problem, tools, warning
from tokenward.credentials.listing import list_all
from tokenward.errors import CommandError
from tokenward.settings import directories
from tokenward.sources import gather
from tokenward.transport.connect import AgentError, AgentUnreachable
from tokenward.transport.connection import session_variables
from tokenward.ui.formatting import count_of
from tokenward_os.files import uid
from tokenward_protocol import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tokenward.checks import Finding
    from tokenward.commands import Namespace, Parser, Session


def describe(parser: Parser, _command: str) -> None:
    """Add examples."""
    parser.examples("auth doctor", "auth doctor --format json")


def run(_arguments: Namespace, session: Session) -> None:
    """Print every finding. Raises CommandError if one is a problem."""
    found = list(_examine(session))
    problems = sum(one.state == PROBLEM for one in found)
    if session.json:
        warnings = sum(one.state == WARNING for one in found)
        findings = [one._asdict() for one in found]
        session.write_json({"problems": problems, "warnings": warnings, "findings": findings})
    else:
        session.terminal.lines(_lines(found))
    if problems:
        raise CommandError(f"This machine has {count_of(problems, 'problem')}.")


def _lines(found: list[Finding]) -> list[str]:
    lines: list[str] = []
    for one in found:
        lines.append(f"{one.state:<7}  {one.check}: {one.message}")
        if one.hint:
            lines.append(f"{'':<7}  hint: {one.hint}")
    return lines


def _examine(session: Session) -> Iterator[Finding]:
    status: dict[str, Any] | None = None
    try:
        status = session.ask_once("status").header
    except (AgentUnreachable, AgentError) as error:
        yield problem("agent", str(error), error.hint or "`auth agent start`")
    yield from agent.service_findings(session.environ)
    yield from _directories(session)
    if status is not None:
        yield from _agent(status)
        yield _keyring(session, status["vaults"])
        yield from agent.vault_openers(status["vaults"])
        yield from agent.log_findings(status["log"], _verify_log(session))
        yield agent.policy_finding(status["policy"])
        yield from agent.vault_copies(status["vaults"], status["directory"], status["state"])
        entries = list_all(session.ask_once)[0]
        yield from agent.token_findings(entries, time())
        yield from agent.sealed_findings(entries, status["vaults"])
    yield from _machine()
    yield from tools.tool_findings(session.environ)
    home = directories.home(session.environ)
    try:
        known = gather(session.settings, session.environ, home)
        yield from tools.plaintext_findings(session.environ, home, known)
    except CommandError as error:  # one of the user's own settings files
        yield problem("settings", str(error), error.hint or "correct the file")


def _directories(session: Session) -> Iterator[Finding]:
    places = session.settings.directories
    own = uid()
    config = directories.config_file(session.environ)
    yield from machine.check_above("folders", places.credentials, places.state_folder, config)
    yield from machine.check_directory("credentials", places.credentials, own)
    yield from machine.check_directory("state", places.state, own)
    yield from machine.check_directory("state", places.state_folder, own)
    yield machine.check_leftovers([places.credentials, places.state_folder], time())


def _agent(status: dict[str, Any]) -> Iterator[Finding]:
    pid, version = int(status["pid"]), status["version"]
    if version == VERSION:
        yield ok("agent", f"The agent {version} answers (pid {pid}).")
    else:
        yield warning(
            "agent", f"The agent is {version}, this command {VERSION}.", "`auth agent restart`"
        )
    yield from agent.check_closed(pid, uid())
    limits = _read_text(f"/proc/{pid}/limits")
    yield from agent.check_limits(limits)
    yield agent.check_memory(str(status["protections"].get("memory", "unknown")), limits)
    yield from agent.check_protections(status["protections"])


def _keyring(session: Session, found: list[dict[str, Any]]) -> Finding:
    """Ask the system keyring itself; the agent's memory of it may be out of date."""
    variables: dict[str, Any] = session_variables(session.environ)
    needed = any(slot["kind"] == "keyring" for vault in found for slot in vault["slots"])
    try:
        session.ask_once("prepare", provider="keyring", probe=True, **variables)
    except AgentError as refused:
        if needed:
            return problem("keyring", str(refused), refused.hint or "`auth unlock`")
        return ok("keyring", f"No vault needs a system keyring, and none answers: {refused}")
    return ok("keyring", "The system keyring answers.")


def _verify_log(session: Session) -> dict[str, Any] | None:
    """Have the agent verify its log; return None if it cannot."""
    try:
        return session.ask_once("log", verify=True).header
    except AgentError:
        return None


def _machine() -> Iterator[Finding]:
    if sys.platform == "linux":
        yield machine.swap(_read_text("/proc/swaps"), machine.is_encrypted)
    folders = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    yield machine.slow_start(dict(machine.pth_files(folders)))
    script = sys.argv[0]
    yield from machine.wrapper(script, _read_text(script))


def _read_text(path: str) -> str:
    """Return the contents of a file, or "" if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
