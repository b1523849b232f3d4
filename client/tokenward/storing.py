"""One credential to the agent, or back from it: what login, import and restore have in common."""

from __future__ import annotations

from tokenward.connection import AgentError
from tokenward.layout import credential

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
    origin: str = "",
) -> dict[str, Any]:
    """Store under one key, say so, and return the agent's answer. Raises AgentError.

    `lifetime` is in seconds; with `adopt`, the service as it was typed, there is no body; `origin`
    is what to say about where it came from.
    """
    header: dict[str, Any] = session.ask(
        "login",
        body,
        offer=True,
        service=key,
        username=username,
        provider=provider,
        lifetime=lifetime,
        adopt=adopt,
    ).header
    verb = "Adopted" if adopt else "Replaced" if header["replaced"] else "Stored"
    session.terminal.say(
        f"{verb} {credential(username, key)}{origin} (provider: {header['provider']})."
    )
    for note in header["notes"]:
        session.terminal.say(str(note))
    return header


def fetched(session: Session, key: str, username: str, provider: str | None) -> bytes | None:
    """Return the secret that is stored under exactly this key and user name, None if none is.

    The agent answers with the longest path, so what is stored under the key itself goes first, and
    an answer from above it means that nothing is. Raises AgentError, `locked` among others.
    """
    try:
        answer = session.ask("fetch", offer=True, service=key, username=username, provider=provider)
    except AgentError as refused:
        if refused.code != "not-found":
            raise
        return None
    exact = (answer.header["service"], answer.header["username"]) == (key, username)
    return answer.body if exact else None
