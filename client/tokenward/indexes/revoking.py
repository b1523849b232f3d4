"""`auth logout --revoke`: revoke at the index by its documented call for the holder, then remove here.

| index | call | done |
| GitLab 15.0 | DELETE /api/v4/personal_access_tokens/self, PRIVATE-TOKEN | 204 |
| JFrog 7.53.1 | DELETE /access/api/v1/tokens/me, Bearer | 200; 204 if it was revoked before |
| Anaconda | DELETE /authentications, token | 201 |
| PyPI, trusted publishing | POST /_/oidc/burn-token | 202, whatever the outcome |

PyPI and TestPyPI revoke a user's token only on a page for that user. An attenuated token is never
revoked: the index would revoke the token that it was made of, and with it every other copy.

The order keeps a promise: a credential that is still valid somewhere is not removed here silently,
so one that could not be revoked stays. A credential that its index revokes for no holder is
removed, and the page where the user can revoke it is named. `--forget` removes in either case.
"""

from __future__ import annotations

import json
from time import time
from typing import NamedTuple

from tokenward.credentials import unlocking
from tokenward.credentials.listing import list_stored
from tokenward.credentials.narrowing import read_token
from tokenward.credentials.storing import entry_name, fetch_stored
from tokenward.errors import CommandError
from tokenward.indexes.place import REVOCABLE, WAREHOUSE, endpoint_of, host
from tokenward.indexes.web import Web, WebError
from tokenward.settings.service_names import ANACONDA, GITLAB, JFROG
from tokenward.transport.connect import AgentError
from tokenward_protocol.messages import COMMAND, MEMORY, vaults_are

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from tokenward.indexes.place import IndexEndpoint
    from tokenward.indexes.web import Reply
    from tokenward.session import Session


_NOT_PERSONAL = {
    "gldt-": "A deploy token of GitLab cannot revoke itself.",
    "glcbt-": "A job token of GitLab expires with its job.",
}
_JFROG_TOKENS = ("eyJ", "cmVmdGtu")  # a JWT, and "reftkn" in base64
_MINTED = 3
"""The restrictions of a freshly minted token of trusted publishing: publisher, projects, expiry."""


class RevocationUnsupported(Exception):  # noqa: N818 - an answer to a question
    """The index revokes this for no holder; the text is a sentence with the reason."""


def revoke(web: Web, endpoint: IndexEndpoint, secret: str) -> str:
    """Revoke a credential and return a sentence about it.

    Raises RevocationUnsupported, and WebError if the index could not be asked or did not do it.
    """
    if endpoint.kind == WAREHOUSE:
        return _revoke_published(web, endpoint, secret)
    if endpoint.kind == GITLAB:
        return _revoke_gitlab(web, endpoint, secret)
    if endpoint.kind == JFROG:
        return _revoke_jfrog(web, endpoint, secret)
    if endpoint.kind == ANACONDA:
        headers = {"Authorization": f"token {secret}"}
        return _report(
            web.ask("DELETE", f"{endpoint.base}/authentications", headers), {200, 201, 204}
        )
    raise RevocationUnsupported(
        "It cannot be revoked from here: no call of its index is known for that."
    )


def burn(web: Web, endpoint: IndexEndpoint, token: str) -> str:
    """Revoke a token of trusted publishing, and return a sentence. Raises WebError."""
    reply = web.ask(
        "POST",
        f"{endpoint.base}/_/oidc/burn-token",
        {"Content-Type": "application/json"},
        json.dumps({"token": token}).encode(),
    )
    if reply.status != 202:
        raise reply.unexpected_error()
    return f"{reply.host} was told to revoke it."


def _revoke_published(web: Web, endpoint: IndexEndpoint, secret: str) -> str:
    """Revoke a stored token of trusted publishing; PyPI revokes no others."""
    token = read_token(secret.encode())
    if token is None or token.scope.publisher is None:
        raise RevocationUnsupported(
            f"{host(endpoint.base)} lets only its user revoke it, on a page."
        )
    if token.scope.caveats != _MINTED:
        raise RevocationUnsupported(
            "It is an attenuated copy, and revoking it would revoke its original, too."
        )
    return burn(web, endpoint, secret)


def _revoke_gitlab(web: Web, endpoint: IndexEndpoint, secret: str) -> str:
    for prefix, why in _NOT_PERSONAL.items():
        if secret.startswith(prefix):
            raise RevocationUnsupported(why)
    headers = {"PRIVATE-TOKEN": secret}
    return _report(
        web.ask("DELETE", f"{endpoint.base}/api/v4/personal_access_tokens/self", headers), {204}
    )


def _revoke_jfrog(web: Web, endpoint: IndexEndpoint, secret: str) -> str:
    if not secret.startswith(_JFROG_TOKENS):
        raise RevocationUnsupported("Only access tokens of JFrog can revoke themselves.")
    headers = {"Authorization": f"Bearer {secret}"}
    return _report(
        web.ask("DELETE", f"{endpoint.base}/access/api/v1/tokens/me", headers), {200, 204}
    )


def _report(reply: Reply, good: set[int]) -> str:
    if reply.status in {401, 403}:
        raise WebError(f"{reply.host} does not accept it, or not for this (status {reply.status}).")
    if reply.status not in good:
        raise reply.unexpected_error()
    return f"It was revoked at {reply.host}."


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
            return self._say_sealed(meant)
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

    def _say_sealed(self, meant: Target) -> bool:
        """Say that a sealed credential is not revoked from here, and return False.

        Raises WebError if its index might do it for the holder: then it stays stored.
        """
        endpoint = endpoint_of(meant.service, self._session.settings.config.definitions)
        if endpoint.kind in REVOCABLE:
            raise WebError("it is sealed, and leaves through a relay alone.")
        self._session.terminal.say("It is sealed, so it cannot be revoked from here.")
        return False
