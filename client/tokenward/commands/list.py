"""`auth list`: list the stored credentials, without their secrets.

A column in which every row says the same is left out; `-v` shows them all.
"""

from __future__ import annotations

from time import time

from tokenward.credentials.listing import (
    OLD_DAYS,
    end_of,
    is_attenuated,
    list_stored,
    recipe_text,
    scope_text,
)
from tokenward.ui.formatting import ahead_text, short_ago_text, timestamp
from tokenward_protocol.messages import COMMAND, MEMORY, vault_name, vaults_are
from tokenward_protocol.urls import PAGES, display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward.commands import Namespace, Parser, Session
    from tokenward.ui.formatting import Part

    Entry = dict[str, Any]

_TIMES = ("created", "used", "expires", "until")


def describe(parser: Parser, _command: str) -> None:
    """Add examples."""
    parser.examples(
        "auth list                a table",
        "auth list -v             with every column",
        "auth list --format json  for a program",
    )


def run(_arguments: Namespace, session: Session) -> None:
    """Print the table."""
    entries, closed = list_stored(session)
    if session.json:
        session.write_json(
            {"credentials": [_to_json(entry) for entry in entries], "closed": closed}
        )
    elif entries:
        _show(entries, session)
    elif not closed:
        session.terminal.say("Nothing is stored yet.", "`auth login`")
    if closed:
        _tell_closed(closed, session)


def _show(entries: list[Entry], session: Session) -> None:
    now, every = time(), session.terminal.verbose
    columns: list[tuple[str, list[Part], bool]] = [
        ("INDEX", [_short(entry["service"]) for entry in entries], True),
        ("ACCOUNT", [_account(entry) for entry in entries], True),
        ("WHAT", [_what(entry) for entry in entries], True),
        ("LAST USED", [short_ago_text(entry["used"], now) for entry in entries], True),
        ("STORED", [short_ago_text(entry["created"], now) for entry in entries], every),
        ("VAULT", [_place(entry) for entry in entries], every),
        ("FROM", [recipe_text(entry) for entry in entries], every),
        ("EXPIRES", [_end(entry, now) for entry in entries], every),
        ("POLICY", [_policy(entry) for entry in entries], every),
    ]
    usual = {"VAULT": None, "FROM": "", "EXPIRES": "never", "POLICY": "allow"}
    shown = [
        (heading, cells)
        for heading, cells, wanted in columns
        if wanted or (heading in usual and not _is_usual(cells, usual[heading]))
    ]
    headings: list[Part] = [heading for heading, _ in shown]
    rows = [list(row) for row in zip(*(cells for _, cells in shown), strict=True)]
    session.terminal.table([headings, *rows])
    _advise(entries, now, session)


def _is_usual(cells: list[Part], usual: str | None) -> bool:
    """Return whether each cell is the usual one; without one, whether all are the same."""
    return all(cell == (cells[0] if usual is None else usual) for cell in cells)


def _short(service: str) -> str:
    """Return a service as users write it: a final slash makes no difference."""
    shown = display(service)
    return shown.rstrip("/") if "://" in shown else shown


def _place(entry: Entry) -> Part:
    provider = str(entry["provider"])
    return provider if provider in {COMMAND, MEMORY} else vault_name(provider)


def _account(entry: Entry) -> str:
    username = str(entry["username"])
    return "token" if username == "__token__" else username or "(no user name)"


def _what(entry: Entry) -> str:
    """Describe what is stored: what a token is good for, and a mark if a note is below."""
    token = entry["token"]
    what = "token" if entry["username"] == "__token__" else "password"
    if token is not None:
        scope = scope_text(token)
        what = scope.replace("every project", "all projects").replace("not visible", "token")
    marks = [mark for mark in ("adopted", "sealed") if entry[mark]]
    if entry["sealed"] and not is_attenuated(entry):
        marks.append("for relays alone")
    what += f" ({', '.join(marks)})" if marks else ""
    return f"{what} *" if _is_wide(entry) else what


def _is_wide(entry: Entry) -> bool:
    """Return whether a token of PyPI or TestPyPI is good for every project of its owner."""
    token = entry["token"]
    return bool(token and entry["service"] in PAGES and token["visible"] and not token["confined"])


def _is_old(entry: Entry, now: float) -> bool:
    is_ours = entry["token"] is not None and entry["service"] in PAGES
    return is_ours and now - entry["created"] >= OLD_DAYS * 86400


def _advise(entries: list[Entry], now: float, session: Session) -> None:
    """Explain the mark once, with the page on which a token is made, and name old tokens."""
    if wide := [entry for entry in entries if _is_wide(entry)]:
        session.terminal.say(
            "* It is good for every project of its owner, and a token for each project is safer:"
            f" {_pages(wide)}"
        )
    if old := [entry for entry in entries if _is_old(entry, now)]:
        was = "token was" if len(old) == 1 else "tokens were"
        session.terminal.say(
            f"{len(old)} {was} stored over {OLD_DAYS} days ago, and can be replaced: {_pages(old)}"
        )


def _pages(entries: list[Entry]) -> str:
    return " and ".join(dict.fromkeys(PAGES[entry["service"]] for entry in entries))


def _end(entry: Entry, now: float) -> Part:
    moment = end_of(entry)
    text = ahead_text(moment, now)
    return text if moment is None or moment > now else ("expired", "red")


def _policy(entry: Entry) -> Part:
    """Return the possible decisions about requests; an older agent has no policy."""
    return ", ".join(entry.get("policy", ["allow"]))


def _tell_closed(closed: list[str], session: Session) -> None:
    """Say why each vault that is not shown is missing, and what helps."""
    found = session.ask_once("status").header["vaults"]
    broken = {
        it["provider"]: (it["note"], it.get("hint")) for it in found if it["state"] == "broken"
    }
    for why, hint in dict.fromkeys(broken.values()):
        names = [name for name in broken if broken[name] == (why, hint)]
        session.terminal.warn(f"The {vaults_are(names)} not listed: {why}", str(hint or ""))
    if shut := [provider for provider in closed if provider not in broken]:
        session.terminal.warn(f"The {vaults_are(shut)} not open, and not listed.", "`auth unlock`")


def _to_json(values: dict[str, Any]) -> dict[str, Any]:
    """Write the times in an entry and in its token as JSON has them."""
    return {
        key: timestamp(value)
        if key in _TIMES
        else _to_json(value)
        if isinstance(value, dict)
        else value
        for key, value in values.items()
    }
