"""`auth list`: what is stored, without a secret."""

from __future__ import annotations

from time import time

from tokenward import unlocking
from tokenward.connection import AgentError
from tokenward.layout import ago, ahead, listed, timestamp
from tokenward_protocol.urls import display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from typing import Any

    from tokenward.connection import Answer
    from tokenward.session import Session
    from tokenward.usage import Parser

_HEADING = ("SERVICE", "USER NAME", "PROVIDER", "STORED", "LAST USED", "EXPIRES")
_TIMES = ("created", "used", "expires")


def describe(parser: Parser, _command: str) -> None:
    """Add examples."""
    parser.examples("auth list                a table", "auth list --format json  for a program")


def run(_arguments: Namespace, session: Session) -> None:
    """Print the table."""
    entries, closed = every(session.plain)
    if closed and _open(session, closed):
        entries, closed = every(session.plain)
    now = time()
    if session.json:
        session.done({"credentials": [_described(entry) for entry in entries], "closed": closed})
    elif entries:
        session.terminal.table([_HEADING, *(_row(entry, now) for entry in entries)])
    elif not closed:
        session.terminal.say("Nothing is stored yet.")
        session.terminal.hint("`auth login`")
    if closed:
        names = listed([f"`{provider}`" for provider in closed])
        session.terminal.warn(f"What the vault of {names} holds is not shown: it is not open.")
        session.terminal.hint("`auth unlock`")


def every(ask: Callable[..., Answer]) -> tuple[list[dict[str, Any]], list[str]]:
    """Ask for every entry of the open vaults, and the providers whose vaults are not."""
    entries: list[dict[str, Any]] = []
    after = 0
    while True:
        header = ask("list", after=after).header
        entries += header["entries"]
        if header["next"] is None:
            return entries, [str(provider) for provider in header["closed"]]
        after = header["next"]


def _open(session: Session, closed: list[str]) -> bool:
    """Open vaults that are only closed, not locked; tell whether one was."""
    refused = AgentError("locked", "", "", {"vaults": closed})
    return unlocking.reopen(session, refused, offer=False)


def _described(entry: dict[str, Any]) -> dict[str, Any]:
    return {k: timestamp(v) if k in _TIMES else v for k, v in entry.items()}


def _row(entry: dict[str, Any], now: float) -> tuple[str, ...]:
    return (
        display(entry["service"]),
        entry["username"],
        entry["provider"] + (" (adopted)" if entry["adopted"] else ""),
        ago(entry["created"], now),
        ago(entry["used"], now),
        ahead(entry["expires"], now),
    )
