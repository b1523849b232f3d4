"""Storing one credential in the agent and fetching it back, for login, import and restore."""

from __future__ import annotations

from time import time

from tokenward.credentials import unlocking
from tokenward.transport.connect import AgentError
from tokenward.ui.formatting import ago_text, credential_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward.session import Session


def store(
    session: Session,
    key: str,
    username: str,
    body: bytes,
    *,
    provider: str | None,
    lifetime: int | None = None,
    adopt: str | None = None,
    sealed: bool = False,
    origin: str = "",
    typed: str = "",
) -> dict[str, Any]:
    """Store under one key, report it, and return the agent's answer. Raises AgentError.

    `lifetime` is in seconds. `adopt` is the service as it was typed; it has no body. `origin` ends
    the report. With a key as it was `typed` the agent decides whether its `/simple/` counts; the
    answer's `service` is the key. An attenuated form of the stored token is not stored: then the
    answer's `kept` is true.
    """
    header: dict[str, Any] = unlocking.ask(
        session,
        "login",
        body,
        offer=True,
        service=None if typed else key,
        spelling=typed or None,
        username=username,
        provider=provider,
        lifetime=lifetime,
        adopt=adopt,
        sealed=sealed or None,
    ).header
    header.setdefault("service", key)  # an older agent does not send it
    what = credential_text(username, header["service"]) + origin
    session.terminal.say(_outcome_text(header, adopt, what, sealed=sealed))
    for note in header["notes"]:
        session.terminal.say(str(note))
    return header


def _outcome_text(header: dict[str, Any], adopt: str | None, what: str, *, sealed: bool) -> str:
    """Return a sentence about the outcome of a login."""
    if header["kept"]:
        return f"This is an attenuated form of {what}, which is stored already and stays."
    before = header["before"]
    verb = "Adopted" if adopt else "Stored" if before is None else "Replaced"
    since = "" if before is None else f" that was stored {ago_text(before, time())}"
    mark = "sealed, " if sealed else ""
    return f"{verb} {what}{since} ({mark}provider: {header['provider']})."


def fetch_stored(session: Session, key: str, username: str, provider: str | None) -> bytes | None:
    """Return the whole secret stored under exactly this key and user name, or None.

    The agent answers with the longest path. So an answer for a shorter path means that nothing is
    stored under the key itself. Raises AgentError: `locked`, `refused` for a sealed one, or others.
    """
    try:
        answer = unlocking.ask(
            session,
            "fetch",
            offer=True,
            service=key,
            username=username,
            provider=provider,
            whole=True,
        )
    except AgentError as refused:
        if refused.code != "not-found":
            raise
        return None
    exact = (answer.header["service"], answer.header["username"]) == (key, username)
    return answer.body if exact else None
