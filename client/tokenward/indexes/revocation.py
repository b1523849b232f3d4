"""`auth logout --revoke`: revoke at the index first, then remove here.

The order keeps a promise: a credential that is still valid somewhere is not removed here silently,
so one that could not be revoked stays. A credential that its index revokes for no holder is
removed, and the page where the user can revoke it is named. `--forget` removes in either case.
"""

from __future__ import annotations

from time import time
from typing import NamedTuple

from tokenward.credentials import unlocking
from tokenward.credentials.listing import list_stored
from tokenward.credentials.storing import fetch_stored
from tokenward.errors import CommandError
from tokenward.indexes import revoking
from tokenward.indexes.place import endpoint_of
from tokenward.indexes.web import Web
from tokenward.transport.connect import AgentError
from tokenward.ui.formatting import join_words
from tokenward_protocol.messages import MEMORY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from tokenward.session import Session


class Target(NamedTuple):
    """A credential to revoke: its service, its user name, and its provider."""

    service: str
    username: str
    provider: str


def targets_of_each(
    session: Session, keys: Collection[str], username: str | None, provider: str | None
) -> list[Target]:
    """Return the credential of each key, by the rules of the lookup. Raises AgentError."""
    found = []
    for key in keys:
        try:
            header = unlocking.ask(
                session, "describe", offer=True, service=key, username=username, provider=provider
            ).header
        except AgentError as refused:
            if refused.code != "not-found":
                raise
            continue
        if header["service"] == key:  # not one above it
            username = str(header["username"])
            found.append(Target(key, username, str(header["provider"])))
    return found


def all_targets(
    session: Session, keys: Collection[str] | None, provider: str | None
) -> list[Target]:
    """Return every credential of some services, or of all. Raises CommandError, AgentError.

    A closed vault may hold more that could not be revoked: that is an error.
    """
    entries, closed = list_stored(session)
    if closed:
        names = join_words([f"`{name}`" for name in closed])
        raise CommandError(f"The vault of {names} is not open.", "`auth unlock`")
    return [
        Target(str(entry["service"]), str(entry["username"]), str(entry["provider"]))
        for entry in entries
        if (keys is None or entry["service"] in keys) and provider in {None, entry["provider"]}
    ]


class Revoker:
    """Revokes credentials of one agent; one that is stored twice is revoked once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._web = Web(session.environ, time)
        self._said: dict[tuple[str, bytes], str] = {}

    def revoke(self, meant: Target) -> bool:
        """Revoke a credential and report it; return False if its index does that for no holder.

        Raises WebError if it failed, and AgentError.
        """
        text = self._secret(meant)
        if not text:
            return False
        endpoint = endpoint_of(meant.service, self._session.settings.config.definitions, text)
        again = (endpoint.base, text.encode())
        try:
            if again not in self._said:
                way = revoking.burn if meant.provider == MEMORY else revoking.revoke
                self._said[again] = way(self._web, endpoint, text)
                self._session.terminal.say(self._said[again])
        except revoking.RevocationUnsupported as why:
            self._session.terminal.say(str(why))
            return False
        finally:
            for notice in self._web.notices():
                self._session.terminal.warn(notice)
        return True

    def _secret(self, meant: Target) -> str:
        """Return the whole secret, or "" if an API could not know it or it is not available."""
        provider = None if meant.provider == MEMORY else meant.provider
        try:
            secret = fetch_stored(self._session, meant.service, meant.username, provider)
            return (secret or b"").decode()
        except AgentError as refused:
            if refused.code != "refused":
                raise
            self._session.terminal.say("It is sealed, so it cannot be revoked from here.")
        except UnicodeDecodeError:
            pass
        return ""
