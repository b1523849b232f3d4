"""`auth status`: whether tools get credentials now, and what protects them.

The first line answers that. `-v` adds every path and protection. It never starts an agent: if none
runs, it says so.
"""

from __future__ import annotations

from contextlib import suppress
from time import localtime, strftime, time

from tokenward.errors import CommandError
from tokenward.settings import directories
from tokenward.setup import journal
from tokenward.transport.connect import AgentAbsent
from tokenward.ui.formatting import ago_text, columns, count_of, join_words, span_text, timestamp
from tokenward_protocol import VERSION
from tokenward_protocol.messages import vault_name, vaults_are
from tokenward_protocol.urls import display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tokenward.commands import Namespace, Parser, Session
    from tokenward.ui.formatting import Part

_REASONS = {
    "sleep": "sleep",
    "screen": "a locked screen",
    "logout": "log-out",
    "idle": "idleness",
}

_NAMED = 3
"""Services that the first line names."""


def describe(parser: Parser, _command: str) -> None:
    """Add examples."""
    parser.examples(
        "auth status                is it unlocked, and what is in force",
        "auth status -v             with paths and each protection",
        "auth status --format json",
    )


def run(_arguments: Namespace, session: Session) -> None:
    """Print the status."""
    header = running_status(session)
    parts = journal.parts(directories.state(session.environ))
    if session.json:
        session.write_json({**_to_json(header, session.directory), "setup": parts})
        return
    lines: list[str | list[Part]] = [_answer(header, session)]
    if header is None:
        lines += _indented([("tools", _tools(parts)), ("vaults", session.directory)])
    elif session.terminal.verbose:
        lines += _indented([("tools", _tools(parts))])
        lines += ["", *status_lines(header, time())]
    else:
        lines += _indented(_summary(header, parts, time()))
        lines += ["", "Paths, each protection: auth status -v"]
    session.terminal.lines(lines)


def running_status(session: Session) -> dict[str, Any] | None:
    """Return the agent's status, or None if none runs."""
    with suppress(AgentAbsent):
        return session.connect(start=False).ask("status").header
    return None


def _indented(rows: list[tuple[str, str]]) -> list[str | list[Part]]:
    return _block([((name, "dim"), text) for name, text in rows])


def _answer(header: dict[str, Any] | None, session: Session) -> list[Part]:
    """Return the first line: whether tools get something, and if not, what helps."""
    if header is None:
        return [
            ("Not running", "bold"),
            ": the next command or tool that needs the agent starts it",
        ]
    state, rest = vault_state(header)
    color = {"Unlocked": "bold", "Nothing is stored yet": "bold"}.get(state, "yellow")
    if state == "Unlocked":
        rest = _stored_text(session, header.get("memory") or 0)
    return [(state, color), rest]


def vault_state(header: dict[str, Any]) -> tuple[str, str]:
    """Return the state of all vaults as one word or sentence, and what follows it."""
    vaults = [vault for vault in header["vaults"] if vault["state"] != "absent"]
    broken = [vault for vault in vaults if vault["state"] == "broken"]
    shut = [vault for vault in vaults if vault["state"] in {"closed", "locked"}]
    if header["policy"]["problem"]:
        return "Broken", ": nothing is handed out, because of the policy below"
    if header["locked"]:
        return "Locked", ": tools get nothing until you run auth unlock"
    if broken:
        name = vault_name(broken[0]["provider"])
        return "Broken", f": the {name} cannot be used; auth doctor says what helps"
    if shut:
        are = vaults_are(vault["provider"] for vault in shut)
        return "Closed", f": the {are} not open; auth unlock opens it"
    if not vaults and not header.get("memory"):
        return "Nothing is stored yet", ": auth login"
    return "Unlocked", ""


def _stored_text(session: Session, memory: int) -> str:
    """Count what is stored, and name the first few services."""
    from tokenward.credentials.listing import list_all

    try:
        entries = list_all(session.connect(start=False).ask)[0]
    except CommandError:  # a shared socket lists nothing
        return ""
    names = list(dict.fromkeys(display(entry["service"]) for entry in entries))
    if not names:
        return ": nothing is stored yet; auth login" if not memory else ""
    more = len(names) - _NAMED
    shown = join_words([*names[:_NAMED], *([f"{more} more"] if more > 0 else [])])
    return f": {count_of(len(entries), 'credential')} ({shown})"


def _summary(header: dict[str, Any], parts: list[str], now: float) -> list[tuple[str, str]]:
    """Return what is in force, in a line each."""
    held = header["protections"]
    version = header["version"]
    skew = "" if version == VERSION else f" (this command is {VERSION}: auth agent restart)"
    started = _moment(header["started"], now)
    rows = [
        ("tools", _tools(parts)),
        *(
            ("vault", _vault_text(vault))
            for vault in header["vaults"]
            if vault["slots"] or vault["note"]
        ),
        ("memory", _memory_text(header["memory"]) if header.get("memory") else ""),
        *(("made", line.strip()) for line in _commands(header.get("commands"))),
        ("locks", summarize_locks(header["locks"], now) if header.get("locks") else ""),
        ("policy", summarize_policy(header["policy"])),
        ("agent", f"{version}{skew}, pid {header['pid']}, since {started}"),
        ("guards", _guards(held)),
        ("log", _log(header["log"]) if header["log"]["problem"] else ""),
        *(("share", ", ".join(filter(None, row))) for row in _shares(header["shares"])),
        *(("run", ", ".join(row)) for row in _runs(header.get("runs") or [], now)),
    ]
    return [(name, text) for name, text in rows if text]


def _memory_text(count: int) -> str:
    return f"in memory only: {count_of(count, 'credential')}, until a lock or the agent's end"


def _guards(held: dict[str, str]) -> str:
    """Count the protections, and name those that the system refuses."""
    refused = [name for name, state in held.items() if state.startswith("refused")]
    text = f"{len(held) - len(refused)} of {len(held)} protections in force" if held else ""
    return f"{text}; refused: {join_words(refused)}" if refused else text


def _moment(moment: int, now: float) -> str:
    """Return a moment by the local clock, with its date unless it is today."""
    then, today = localtime(moment), localtime(now)
    form = "%H:%M" if then[:3] == today[:3] else "%Y-%m-%d %H:%M"
    return strftime(form, then)


def _vault_text(vault: dict[str, Any]) -> str:
    details = "; ".join(filter(None, (_openers(vault), str(vault["note"] or "").rstrip("."))))
    return f"{vault_name(vault['provider'])} ({vault['state']}): {details}"


def _openers(vault: dict[str, Any]) -> str:
    """Say who can open a vault without the agent."""
    opened_by = [str(slot["detail"] or slot["kind"]) for slot in vault["slots"]]
    if len(opened_by) > 1 and any(slot["kind"] == "passphrase" for slot in vault["slots"]):
        opened_by[-1] += ": also opens without the passphrase"
    return f"can be opened by {join_words(opened_by)}" if opened_by else ""


def _tools(parts: list[str]) -> str:
    return f"set up ({', '.join(parts)})" if parts else "not set up: auth setup"


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


def status_lines(header: dict[str, Any], now: float) -> list[str | list[Part]]:
    """Return the lines that show all of the agent's answer."""
    version = header["version"]
    locks = header.get("locks")  # an older agent does not have it
    skew = "" if version == VERSION else f", this command {VERSION}"
    lines: list[str | list[Part]] = [
        *columns(
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
    ]
    lines += ["", "vaults", *_block(_vaults(header["vaults"]))]
    if header.get("memory"):
        lines.append(f"  {_memory_text(header['memory'])}")
    lines += _commands(header.get("commands"))
    for vault in header["vaults"]:
        if vault["note"]:
            lines.append(f"  {vault_name(vault['provider'])}: {vault['note']}")
    if header["shares"]:
        lines += ["", "shared", *_block(_shares(header["shares"]))]
    if runs := header.get("runs"):  # an older agent has none
        lines += ["", "runs", *_block(_runs(runs, now))]
    return [*lines, "", "protections", *_block(list(header["protections"].items()) or [("none",)])]


def _block(rows: Sequence[Sequence[Part]]) -> list[str | list[Part]]:
    return [["  ", *line] for line in columns(rows)]


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
            _state_of_share(share),
        )
        for share in shares
    ]


def _state_of_share(share: dict[str, Any]) -> str:
    if share.get("problem"):
        return f"not open: {share['problem'].rstrip('.')}"
    if share.get("declared"):
        return "by config.toml"
    return f"until {timestamp(share['ends'])}" if share["ends"] else ""


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
        rows.append((vault_name(vault["provider"]), str(vault["state"]), count, _openers(vault)))
    return rows
