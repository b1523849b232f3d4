"""What is stored, without the secrets: every entry, its limits and age, and advice to replace it.

The descriptions are pure: they are made of the agent's own, which have neither the token nor its
identifier. A token without visible restrictions may have others: an index may keep them to itself.
"""

from __future__ import annotations

from tokenward.ui.formatting import (
    ago_text,
    ahead_text,
    capitalise,
    credential_text,
    join_words,
    timestamp,
)
from tokenward_protocol.urls import PAGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tokenward.session import Session
    from tokenward.transport.connect import Answer


def list_stored(session: Session) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the entries as `list` answers them, and the providers of closed vaults.

    A vault that is closed but not locked is opened if possible. Raises AgentError.
    """
    entries, closed = list_all(session.ask_once)
    if closed:
        from tokenward.credentials import unlocking

        if unlocking.reopen(session, closed):
            entries, closed = list_all(session.ask_once)
    return entries, closed


def list_all(ask: Callable[..., Answer]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return every entry of the open vaults, and the providers of the closed ones."""
    entries: list[dict[str, Any]] = []
    after = 0
    while True:
        header = ask("list", after=after).header
        entries += header["entries"]
        if header["next"] is None:
            return entries, [str(provider) for provider in header["closed"]]
        after = header["next"]


OLD_DAYS = 90
"""The age in seconds from which a token should be replaced."""

_SHOWN = 3
_FROM_WIDTH = 40  # columns of a command in a table


def scope_text(token: dict[str, Any] | None) -> str:
    """Describe a token's limits in a few words; "" if it is not a token of an index."""
    if token is None:
        return ""
    projects = token["projects"]
    if projects is not None:
        names = [*projects[:_SHOWN], *(["more"] if len(projects) > _SHOWN else [])]
        return join_words(names) or "nothing"
    if token["confined"]:
        return "some projects"
    return "every project" if token["visible"] else "not visible"


def is_attenuated(entry: dict[str, Any]) -> bool:
    """Tell whether tools get tokens that are attenuated from a credential."""
    return entry["token"] is not None and bool(entry["token"]["narrows"])


def recipe_text(entry: dict[str, Any]) -> str:
    """Return the command that makes a credential, "" if it is stored; an older agent has none."""
    text = str(entry.get("command") or "")
    return text if len(text) <= _FROM_WIDTH else f"{text[: _FROM_WIDTH - 1]}…"


def end_of(entry: dict[str, Any]) -> int | None:
    """Return when a credential expires, by its login or by itself, in seconds since 1970."""
    token = entry["token"] or {}
    ends = [each for each in (entry["expires"], token.get("expires")) if each is not None]
    return min(ends, default=None)


def advice_text(entry: dict[str, Any], now: float) -> str:
    """Return one sentence on why a stored token should be replaced, or ""."""
    token = entry["token"]
    if token is None or entry["service"] not in PAGES:
        return ""
    reasons = []
    if now - entry["created"] >= OLD_DAYS * 86400:
        reasons.append(f"was stored {ago_text(entry['created'], now)}")
    if token["visible"] and not token["confined"]:
        reasons.append("is good for every project of its owner")
    if not reasons:
        return ""
    what = credential_text(entry["username"], entry["service"])
    return f"{capitalise(what)} {join_words(reasons)}."


def facts_table(said: dict[str, Any], now: float) -> list[tuple[str, str]]:
    """Return a table of the visible parts of a credential."""
    rows = [("service", said["service"]), ("user name", said["username"])]
    token = said["token"]
    if token is None:
        rows.append(("kind", "not a token of PyPI, TestPyPI or devpi"))
    else:
        rows.append(("made by", token["location"] or token["dialect"]))
        rows += _limits(token)
        rows.append(("attenuated for tools", "yes" if token["narrows"] else "no"))
    moment = end_of(said)
    when = "no expiry is visible"
    if moment is not None:
        when = f"{ahead_text(moment, now)} ({timestamp(moment)})"
    rows.append(("expires", when))
    if said["created"] is not None:
        rows.append(("stored", ago_text(said["created"], now)))
    alone = "" if is_attenuated(said) else ": only commands behind a relay use it"
    rows.append(("sealed", f"yes{alone}" if said["sealed"] else "no"))
    return rows


def _limits(token: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        (
            "good for",
            scope_text(token) if token["projects"] is None else join_words(token["projects"]),
        )
    ]
    if not token["visible"]:
        rows = [("good for", "no restriction is visible; the index may keep some to itself")]
    rows += [
        (name, join_words(token[key]))
        for name, key in (("project ids", "project_ids"), ("indexes", "indexes"))
        if token[key] is not None
    ]
    if token["allowed"] is not None:
        rows.append(("allowed", join_words(token["allowed"])))
    if token["publisher"] is not None:
        rows.append(("trusted publishing", "yes"))
    if token["not_before"] is not None:
        rows.append(("not before", str(timestamp(token["not_before"]))))
    if token["legacy"]:
        rows.append(("form", "from before 2022"))
    if token["unknown"]:
        rows.append(("not understood", f"{token['unknown']} of {token['caveats']} restrictions"))
    return rows
