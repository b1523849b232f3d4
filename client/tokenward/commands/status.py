"""`auth status`: show the agent, the vaults, who can open them, and the protections.

It never starts an agent: if none runs, it says so.
"""

from __future__ import annotations

from time import time

from tokenward.settings import directories
from tokenward.setup import journal
from tokenward.transport.connect import AgentAbsent
from tokenward.ui.formatting import ago_text, columns, count_of, join_words, span_text, timestamp
from tokenward_protocol import VERSION
from tokenward_protocol.urls import display

TYPE_CHECKING = False
_REASONS = {
    "sleep": "sleep",
    "screen": "a locked screen",
    "logout": "log-out",
    "idle": "idleness",
}

if TYPE_CHECKING:
    from typing import Any

    from tokenward.commands import Namespace, Parser, Session


def describe(parser: Parser, _command: str) -> None:
    """Add examples."""
    parser.examples("auth status", "auth status --format json")


def run(_arguments: Namespace, session: Session) -> None:
    """Print the status."""
    header: dict[str, Any] | None = None
    try:
        header = session.connect(start=False).ask("status").header
    except AgentAbsent:
        pass
    parts = journal.parts(directories.state(session.environ))
    if session.json:
        session.write_json({**_to_json(header, session.directory), "setup": parts})
    elif header is None:
        rows = [("agent", "not running"), ("credentials", session.directory), _tools(parts)]
        session.terminal.lines(columns(rows))
        session.terminal.hint(
            "the next command that needs it starts it; so does `auth agent start`"
        )
    else:
        session.terminal.lines([*status_lines(header, time()), "", *columns([_tools(parts)])])


def _tools(parts: list[str]) -> tuple[str, str]:
    return "tools", f"set up ({', '.join(parts)})" if parts else "not set up, see `auth setup`"


def _to_json(header: dict[str, Any] | None, directory: str) -> dict[str, Any]:
    """Return the JSON object, with the same keys whether an agent runs or not."""
    keys = (
        *("pid", "version", "wire", "socket", "state", "locked", "vaults", "memory", "log"),
        *("policy", "locks", "protections", "shares", "runs", "commands"),
    )
    found = {key: None if header is None else header.get(key) for key in keys}
    if header is not None:
        if header["shares"]:
            from tokenward.commands.share import to_json

            found["shares"] = [to_json(share) for share in header["shares"]]
        if header.get("runs"):
            times = ("started", "ends")
            found["runs"] = [
                {**run, **{key: timestamp(run[key]) for key in times}} for run in header["runs"]
            ]
        if (locks := header.get("locks")) and (last := locks["last"]):
            found["locks"] = {**locks, "last": {**last, "time": timestamp(last["time"])}}
    return {
        "running": header is not None,
        "client_version": VERSION,
        "directory": directory if header is None else header["directory"],
        "started": None if header is None else timestamp(header["started"]),
        **found,
    }


def status_lines(header: dict[str, Any], now: float) -> list[str]:
    """Return the lines that show the agent's answer."""
    version = header["version"]
    locks = header.get("locks")  # an older agent does not have it
    skew = "" if version == VERSION else f", this command {VERSION}"
    lines = columns(
        [
            ("agent", f"running (pid {header['pid']}, version {version}{skew})"),
            ("started", ago_text(header["started"], now)),
            ("locked", "yes, until `auth unlock`" if header["locked"] else "no"),
            ("credentials", header["directory"]),
            ("state", header["state"]),
            ("socket", header["socket"]),
            ("log", _log(header["log"])),
            ("policy", summarize_policy(header["policy"])),
            *([("locks itself", summarize_locks(locks, now))] if locks else ()),
        ]
    )
    lines += ["", "vaults"] + [f"  {line}" for line in columns(_vaults(header["vaults"]))]
    if header.get("memory"):
        kept = count_of(header["memory"], "credential")
        lines.append(f"  in memory only: {kept}, until a lock or the agent's end")
    lines += _commands(header.get("commands"))
    for vault in header["vaults"]:
        if vault["note"]:
            lines.append(f"  {vault['provider']}: {vault['note']}")
    if header["shares"]:
        lines += ["", "shared"] + [f"  {line}" for line in columns(_shares(header["shares"]))]
    if runs := header.get("runs"):  # an older agent has none
        lines += ["", "runs"] + [f"  {line}" for line in columns(_runs(runs, now))]
    lines += ["", "protections"]
    lines += [f"  {line}" for line in columns(list(header["protections"].items()) or [("none",)])]
    return lines


def _commands(commands: dict[str, Any] | None) -> list[str]:
    """Return the lines about credentials that commands make; an older agent has none."""
    if commands is None or not (commands["recipes"] or commands["problem"]):
        return []
    if commands["problem"]:
        return [f"  by a command: none, since {commands['problem']}"]
    made, kept = count_of(commands["recipes"], "credential"), commands["kept"]
    return [f"  by a command: {made}, {kept} of them in memory now"]


def _log(log: dict[str, Any]) -> str:
    if log["problem"] is None:
        return str(log["folder"])
    return f"{log['problem'].rstrip('.')} ({count_of(log['lost'], 'line')} so far)"


def _shares(shares: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (
            str(share["socket"]),
            display(share["service"]) + (" (whole)" if share["whole"] else ""),
            join_words(share["projects"]) if share["projects"] else "",
            f"until {timestamp(share['ends'])}" if share["ends"] else "",
        )
        for share in shares
    ]


def _runs(runs: list[dict[str, Any]], now: float) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for run in runs:
        more = run["indexes"] - 1
        rows.append(
            (
                f"{run['program'] or 'a command'} (pid {run['pid']})",
                display(run["service"]) + (f" and {more} more" if more else ""),
                f"may publish {join_words(run['projects'])}" if run["projects"] else "reads",
                ago_text(run["started"], now),
            )
        )
    return rows


def summarize_policy(policy: dict[str, Any]) -> str:
    """Describe the policy file as the agent read it."""
    if policy["problem"]:
        return f"nothing is handed out: {policy['file']} {policy['problem']}"
    return f"{count_of(policy['rules'], 'rule')} in {policy['file']}" if policy["rules"] else "none"


def summarize_locks(locks: dict[str, Any], now: float) -> str:
    """Say when the agent locks by itself, and its last lock.

    Logging out is left out if no event reports it here; a locked screen is always shown, since the
    user chose it.
    """
    upon = []
    if locks["sleep"]:
        upon.append("before sleep" if "logind" in locks["sleep"] else "after sleep")
    if locks["screen"] is not None:
        unseen = "" if locks["screen"] else " (not reported on this system)"
        upon.append(f"when the screen is locked{unseen}")
    if locks["logout"]:
        upon.append("at log-out")
    if locks["idle"]:
        upon.append(f"after {span_text(locks['idle'])} of idleness")
    text = join_words(upon) if upon else "no"
    if last := locks["last"]:
        text += f"; last {ago_text(last['time'], now)} ({_REASONS.get(last['why'], last['why'])})"
    return text


def _vaults(vaults: list[dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    rows = []
    for vault in vaults:
        count = "" if vault["count"] is None else count_of(vault["count"], "credential")
        opened_by = [str(slot["detail"] or slot["kind"]) for slot in vault["slots"]]
        if len(opened_by) > 1 and any(slot["kind"] == "passphrase" for slot in vault["slots"]):
            opened_by[-1] += ": also opens without the passphrase"
        rows.append(
            (
                str(vault["provider"]),
                str(vault["state"]),
                count,
                f"can be opened by {join_words(opened_by)}" if opened_by else "",
            )
        )
    return rows
