"""`auth list`: list the stored credentials, without their secrets."""

from __future__ import annotations

from time import time

from tokenward.credentials.listing import (
    advice_text,
    end_of,
    list_stored,
    recipe_text,
    uses_text,
)
from tokenward.ui.formatting import ago_text, ahead_text, join_words, quote_words, timestamp
from tokenward_protocol.urls import PAGES, display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward.commands import Namespace, Parser, Session


_HEADING = ("SERVICE", "USER NAME", "PROVIDER", "GOOD FOR", "STORED", "LAST USED", "EXPIRES")
_TIMES = ("created", "used", "expires", "until")


def describe(parser: Parser, _command: str) -> None:
    """Add examples."""
    parser.examples("auth list                a table", "auth list --format json  for a program")


def run(_arguments: Namespace, session: Session) -> None:
    """Print the table."""
    entries, closed = list_stored(session)
    now = time()
    if session.json:
        session.write_json(
            {"credentials": [_to_json(entry) for entry in entries], "closed": closed}
        )
    elif entries:
        rows = [_HEADING, *(_row(entry, now) for entry in entries)]
        if any(map(recipe_text, entries)):
            made = ["FROM", *map(recipe_text, entries)]
            rows = [(*row, word) for row, word in zip(rows, made, strict=True)]
        if any(_policy(entry) != "allow" for entry in entries):
            judged = ["POLICY", *map(_policy, entries)]
            rows = [(*row, word) for row, word in zip(rows, judged, strict=True)]
        session.terminal.table(rows)
        for entry in entries:
            if sentence := advice_text(entry, now):
                session.terminal.say(f"{sentence[:-1]}: {PAGES[entry['service']]} makes a new one.")
    elif not closed:
        session.terminal.say("Nothing is stored yet.", "`auth login`")
    if closed:
        _tell_closed(closed, session)


def _tell_closed(closed: list[str], session: Session) -> None:
    """Say why each vault that is not shown is missing, and what helps."""
    found = session.ask_once("status").header["vaults"]
    broken = {
        it["provider"]: (it["note"], it.get("hint")) for it in found if it["state"] == "broken"
    }
    for why, hint in dict.fromkeys(broken.values()):
        names = quote_words(name for name in broken if broken[name] == (why, hint))
        session.terminal.warn(
            f"The credentials in the vault of {names} are not shown: {why}", str(hint or "")
        )
    if shut := [f"`{provider}`" for provider in closed if provider not in broken]:
        session.terminal.warn(
            f"The credentials in the vault of {join_words(shut)} are not shown: it is not open.",
            "`auth unlock`",
        )


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


def _policy(entry: dict[str, Any]) -> str:
    """Return the possible decisions about requests; an older agent has no policy."""
    return ", ".join(entry.get("policy", ["allow"]))


def _row(entry: dict[str, Any], now: float) -> tuple[str, ...]:
    return (
        display(entry["service"]),
        entry["username"],
        entry["provider"] + (" (adopted)" if entry["adopted"] else ""),
        uses_text(entry),
        ago_text(entry["created"], now),
        ago_text(entry["used"], now),
        ahead_text(end_of(entry), now),
    )
