"""`auth doctor`: test each protection on this machine, and name the command that repairs it.

It starts the agent, because most checks need a running one, and changes nothing else. A problem is
a promise that does not hold here, and makes the exit status 2; a warning can be improved.
"""

from __future__ import annotations

import site
import sys
import sysconfig
from time import time

from tokenward.checks import (
    OK,
    PROBLEM,
    WARNING,
    agent,
    machine,
    makers,
    ok,
    problem,
    tools,
    warning,
)
from tokenward.commands.setup import known_accounts
from tokenward.credentials.listing import list_all
from tokenward.errors import CommandError
from tokenward.settings import directories
from tokenward.setup import journal
from tokenward.setup.pending import TOOLS_OF, pending_parts
from tokenward.setup.program import upgrade_command
from tokenward.sources import gather
from tokenward.transport.connect import AgentError, AgentUnreachable
from tokenward.transport.connection import session_variables
from tokenward.ui.formatting import count_of, join_words
from tokenward_os.files import uid
from tokenward_protocol import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tokenward.checks import Finding
    from tokenward.commands import Namespace, Parser, Session
    from tokenward.ui.formatting import Part


def describe(parser: Parser, _command: str) -> None:
    """Add examples."""
    parser.examples(
        "auth doctor                what is wrong, and what helps",
        "auth doctor -v             with every check that passed",
        "auth doctor --format json",
    )


def run(_arguments: Namespace, session: Session) -> None:
    """Print every finding. Raises CommandError if one is a problem."""
    found = list(_examine(session))
    problems = sum(one.state == PROBLEM for one in found)
    if session.json:
        warnings = sum(one.state == WARNING for one in found)
        findings = [one._asdict() for one in found]
        session.write_json({"problems": problems, "warnings": warnings, "findings": findings})
    else:
        session.terminal.lines(_lines(found, every=session.terminal.verbose))
    if problems:
        raise CommandError(f"This machine has {count_of(problems, 'problem')}.")


_SHOWN: dict[str, Part] = {
    PROBLEM: ("PROBLEM", "red"),
    WARNING: ("warning", "yellow"),
    OK: "ok     ",
}
"""The word at the beginning of a finding's line."""


def _lines(found: list[Finding], *, every: bool) -> list[str | list[Part]]:
    """Return the numbers, then problems, warnings and, if `every`, what is in order."""
    count = {state: sum(one.state == state for one in found) for state in _SHOWN}
    numbers = [count_of(count[PROBLEM], "problem")] if count[PROBLEM] else []
    numbers += [count_of(count[WARNING], "warning")] if count[WARNING] else []
    style = "red" if count[PROBLEM] else "yellow" if count[WARNING] else "bold"
    head = ", ".join([*numbers, f"{count_of(count[OK], 'check')} passed"])
    lines: list[str | list[Part]] = [[(head, style)]]
    for state in (PROBLEM, WARNING, OK):
        told = [one for one in found if one.state == state and (every or state != OK)]
        lines += [""] if told else []
        for one in told:
            lines.append([_SHOWN[state], "  ", f"{one.check}: {one.message}"])
            if one.hint:
                lines.append([" " * 9, ("fix:", "cyan"), " ", one.hint])
    return lines if every else [*lines, "", "Every check: auth doctor -v"]


def _examine(session: Session) -> Iterator[Finding]:
    status: dict[str, Any] | None = None
    entries: list[dict[str, Any]] = []
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
        yield from agent.share_findings(status["shares"])
        yield from agent.vault_copies(status["vaults"], status["directory"], status["state"])
        entries = list_all(session.ask_once)[0]
        yield from agent.token_findings(entries, time())
        services = [str(entry["service"]) for entry in entries]
        yield from tools.pip_findings(session.environ, services)
        yield from agent.sealed_findings(entries, status["vaults"])
        if commands := status.get("commands"):  # an older agent has none
            yield from makers.command_findings(commands)
        yield from makers.plugin_findings(session.environ, entries)
    yield from _machine()
    yield from tools.tool_findings(session.environ)
    yield from _setup(session)
    home = directories.home(session.environ)
    try:
        yield from makers.leave_findings(session.settings.config.leave, entries)
        known = gather(session.settings, session.environ, home)
        yield from tools.plaintext_findings(session.environ, home, known)
    except CommandError as error:  # one of the user's own settings files
        yield problem("settings", str(error), error.hint or "correct the file")


def _setup(session: Session) -> Iterator[Finding]:
    """Report what `auth setup` would write now, if it was ever run."""
    if sys.platform == "win32" or not journal.parts(directories.state(session.environ)):
        return
    try:
        pending = pending_parts(session.environ, known_accounts(session))
    except CommandError:  # tool_findings names the file
        return
    if found := [part for part in pending if part != "keyring"]:  # tool_findings judges that one
        names = join_words([TOOLS_OF[part] for part in found])
        yield warning(
            "setup",
            f"A tool or an account is new since `auth setup`, which would change something for {names}.",
            "`auth setup`; with `--dry-run` it says what that is",
        )


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
        upgrade = upgrade_command(sys.prefix, sys.executable)
        yield ok(
            "version",
            f"This is tokenward {VERSION}; `{upgrade}`, then `auth agent restart`, upgrades it.",
        )
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
