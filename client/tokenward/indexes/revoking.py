"""`auth logout --revoke`: revoke at the index, then remove here.

tokenward_protocol/index_revocation.py has what each index is asked. PyPI and TestPyPI revoke a
user's token only on a page for that user. An attenuated token is never revoked: the index would
revoke the token that it was made of, and with it every other copy.

The order keeps a promise: a credential that is still valid somewhere is not removed here silently,
so one that could not be revoked stays. A credential that its index revokes for no holder is
removed, and the page where the user can revoke it is named. `--forget` removes in either case.
"""

from __future__ import annotations

from time import time
from typing import NamedTuple

from tokenward.credentials import unlocking
from tokenward.credentials.listing import list_stored
from tokenward.credentials.storing import entry_name, fetch_stored
from tokenward.errors import CommandError
from tokenward.indexes.place import endpoint_of
from tokenward.indexes.web import Web
from tokenward.reach.accepting import asking_arguments
from tokenward.transport.connect import AgentError
from tokenward_protocol.index_endpoint import host
from tokenward_protocol.index_reply import WebError
from tokenward_protocol.index_revocation import RevocationUnsupported, burn, revoke
from tokenward_protocol.messages import COMMAND, MEMORY, vaults_are

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from tokenward.session import Session


class Target(NamedTuple):
    """A credential to revoke: its service, its user name, its provider, and its projects or None."""

    service: str
    username: str
    provider: str
    projects: tuple[str, ...] | None

    @property
    def entry(self) -> str:
        """Its name among several of its account."""
        return entry_name(self.projects)


def targets_of_each(
    session: Session,
    keys: Collection[str],
    username: str | None,
    provider: str | None,
    entry: str | None,
) -> list[Target]:
    """Return the credential of each key, by the rules of the lookup. Raises AgentError."""
    found = []
    for key in keys:
        try:
            header = unlocking.ask(
                session,
                "describe",
                offer=True,
                service=key,
                username=username,
                provider=provider,
                entry=entry,
            ).header
        except AgentError as refused:
            if refused.code != "not-found":
                raise
            continue
        if header["service"] == key:  # not one above it
            username = str(header["username"])
            found.append(_target(header))
    return found


def _target(entry: dict[str, Any]) -> Target:
    projects = entry.get("projects")  # an older agent has none
    limits = None if projects is None else tuple(map(str, projects))
    return Target(str(entry["service"]), str(entry["username"]), str(entry["provider"]), limits)


def all_targets(
    session: Session, keys: Collection[str] | None, provider: str | None
) -> list[Target]:
    """Return every credential of some services, or of all. Raises CommandError, AgentError.

    A closed vault may hold more that could not be revoked: that is an error.
    """
    entries, closed = list_stored(session)
    if closed:
        raise CommandError(f"The {vaults_are(closed)} not open.", "`auth unlock`")
    return [
        _target(entry)
        for entry in entries
        if (keys is None or entry["service"] in keys)
        and provider in {None, entry["provider"]}
        and entry["provider"] != COMMAND  # what a command makes ends by itself
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
        try:
            text = self._secret(meant)
        except AgentError as refused:
            if refused.header.get("why") != "sealed":
                raise
            return self._revoke_sealed(meant)
        if not text:
            return False
        endpoint = endpoint_of(meant.service, self._session.settings.config.definitions, text)
        again = (endpoint.base, text.encode())
        try:
            if again not in self._said:
                way = burn if meant.provider == MEMORY else revoke
                self._said[again] = way(self._web, endpoint, text)
                self._session.terminal.say(self._said[again])
        except RevocationUnsupported as why:
            self._session.terminal.say(str(why))
            return False
        finally:
            for notice in self._web.notices():
                self._session.terminal.warn(notice)
        return True

    def _secret(self, meant: Target) -> str:
        """Return the whole secret, or "" if an API could not know it. Raises AgentError."""
        provider = None if meant.provider == MEMORY else meant.provider
        try:
            secret = fetch_stored(
                self._session, meant.service, meant.username, provider, meant.entry
            )
            return (secret or b"").decode()
        except UnicodeDecodeError:
            return ""

    def _revoke_sealed(self, meant: Target) -> bool:
        """Have the agent revoke what it does not hand out. Raises WebError, AgentError."""
        try:
            arguments, body = asking_arguments(self._session, meant.service)
        except CommandError as why:
            raise WebError(str(why), why.hint) from None
        try:
            with self._session.terminal.at_work(f"Asking {host(meant.service)} ..."):
                header = unlocking.ask(
                    self._session,
                    "revoke",
                    body,
                    **arguments,
                    service=meant.service,
                    username=meant.username,
                    provider=meant.provider,
                    entry=meant.entry,
                ).header
        except AgentError as refused:
            if refused.code != "index":
                raise
            raise WebError(str(refused), refused.hint) from None
        self._session.terminal.say(str(header["message"]))
        return bool(header["revoked"])
