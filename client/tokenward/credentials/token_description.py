"""Describing a stored token to the user: its account, limits and age, and advice to replace it.

Pure: it works on the agent's description, which has neither the token nor its identifier. A token
without visible restrictions may have others: an index may keep them to itself.
"""

from __future__ import annotations

from tokenward.ui.formatting import ago, ahead, credential, listed, timestamp
from tokenward_protocol.urls import PAGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OLD_DAYS = 90
"""The age in seconds from which a token should be replaced."""

_SHOWN = 3


def width(token: dict[str, Any] | None) -> str:
    """Describe a token's limits in a few words; "" if it is not a token of an index."""
    if token is None:
        return ""
    projects = token["projects"]
    if projects is not None:
        names = [*projects[:_SHOWN], *(["more"] if len(projects) > _SHOWN else [])]
        return listed(names) or "nothing"
    if token["confined"]:
        return "some projects"
    return "every project" if token["visible"] else "not visible"


def end(entry: dict[str, Any]) -> int | None:
    """Return when a credential expires, by its login or by itself, in seconds since 1970."""
    token = entry["token"] or {}
    ends = [each for each in (entry["expires"], token.get("expires")) if each is not None]
    return min(ends, default=None)


def advice(entry: dict[str, Any], now: float) -> str:
    """Return one sentence on why a stored token should be replaced, or ""."""
    token = entry["token"]
    if token is None or entry["service"] not in PAGES:
        return ""
    reasons = []
    if now - entry["created"] >= OLD_DAYS * 86400:
        reasons.append(f"was stored {ago(entry['created'], now)}")
    if token["visible"] and not token["confined"]:
        reasons.append("is good for every project of its owner")
    if not reasons:
        return ""
    what = credential(entry["username"], entry["service"])
    return f"{what[:1].upper()}{what[1:]} {listed(reasons)}."


def facts(said: dict[str, Any], now: float) -> list[tuple[str, str]]:
    """Return a table of the visible parts of a credential."""
    rows = [("service", said["service"]), ("user name", said["username"])]
    token = said["token"]
    if token is None:
        rows.append(("kind", "not a token of PyPI, TestPyPI or devpi"))
    else:
        rows.append(("made by", token["location"] or token["dialect"]))
        rows += _limits(token)
        rows.append(("attenuated for tools", "yes" if token["narrows"] else "no"))
    moment = end(said)
    rows.append(("expires", "no expiry is visible" if moment is None else _when(moment, now)))
    if said["created"] is not None:
        rows.append(("stored", ago(said["created"], now)))
    rows.append(("sealed", "yes" if said["sealed"] else "no"))
    return rows


def _limits(token: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [("good for", width(token) if token["projects"] is None else listed(token["projects"]))]
    if not token["visible"]:
        rows = [("good for", "no restriction is visible; the index may keep some to itself")]
    rows += [
        (name, listed(token[key]))
        for name, key in (("project ids", "project_ids"), ("indexes", "indexes"))
        if token[key] is not None
    ]
    if token["allowed"] is not None:
        rows.append(("allowed", listed(token["allowed"])))
    if token["publisher"] is not None:
        rows.append(("trusted publishing", "yes"))
    if token["not_before"] is not None:
        rows.append(("not before", str(timestamp(token["not_before"]))))
    if token["legacy"]:
        rows.append(("form", "from before 2022"))
    if token["unknown"]:
        rows.append(("not understood", f"{token['unknown']} of {token['caveats']} restrictions"))
    return rows


def _when(moment: int, now: float) -> str:
    return f"{ahead(moment, now)} ({timestamp(moment)})"
