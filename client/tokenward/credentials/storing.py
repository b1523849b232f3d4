"""One credential to the agent, or back from it: what login, import and restore have in common."""

from __future__ import annotations

from time import time

from tokenward.credentials import unlocking
from tokenward.transport.connect import AgentError
from tokenward.ui.formatting import ago, credential

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
    """Store under one key, say so, and return the agent's answer. Raises AgentError.

    `lifetime` is in seconds; with `adopt`, the service as it was typed, there is no body; `origin`
    is what to say about where it came from. With a key as it was `typed` the agent decides whether its
    `/simple/` counts; the answer's `service` is where it is. What is a narrower form of the token that is stored is
    not stored: then the answer's `kept` is true.
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
    header.setdefault("service", key)  # an older agent's has none
    what = credential(username, header["service"]) + origin
    session.terminal.say(_outcome(header, adopt, what, sealed=sealed))
    for note in header["notes"]:
        session.terminal.say(str(note))
    return header


def _outcome(header: dict[str, Any], adopt: str | None, what: str, *, sealed: bool) -> str:
    """Say what became of a login."""
    if header["kept"]:
        return f"This is a narrower form of {what}, which is stored already and stays."
    before = header["before"]
    verb = "Adopted" if adopt else "Stored" if before is None else "Replaced"
    since = "" if before is None else f" that was stored {ago(before, time())}"
    mark = "sealed, " if sealed else ""
    return f"{verb} {what}{since} ({mark}provider: {header['provider']})."


def fetched(session: Session, key: str, username: str, provider: str | None) -> bytes | None:
    """Return the whole secret that is stored under exactly this key and user name, None if none is.

    The agent answers with the longest path, so what is stored under the key itself goes first, and
    an answer from above it means that nothing is. Raises AgentError: `locked`, `refused` where it is
    sealed, and others.
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
