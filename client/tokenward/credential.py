"""What `tokenward.get` does: environment, agent, `.pypirc`, in this order.

Nobody is asked anything here, since a program is running and no person may be there; a passphrase
that the environment leads to is used.
"""

from __future__ import annotations

import os

from tokenward import environment, pypirc
from tokenward.connection import AgentError, connect
from tokenward.errors import CommandError
from tokenward.layout import listed
from tokenward.names import resolve
from tokenward.settings import here
from tokenward.unlocking import given_passphrase, session_variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from tokenward.connection import Answer, Connection
    from tokenward.names import Service

UNLOCK_SECONDS = 60.0
"""A key derivation, or a system keyring that somebody has to open first."""


class Credential:
    """A user name and a secret; the secret is in no repr and no pickle."""

    __slots__ = ("secret", "username")

    def __init__(self, username: str, secret: str) -> None:
        self.username = username
        self.secret = secret

    def __repr__(self) -> str:
        return f"Credential(username={self.username!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a credential is not pickled: that would write its secret down")


def find(url: str, username: str | None, project: str | None, ttl: int | None) -> Credential | None:
    """Return the credential for `url`, or None. Raises CommandError."""
    if project is not None or ttl is not None:
        raise CommandError(
            "`tokenward.get` cannot narrow a token to a project or a time yet.",
            "leave `project` and `ttl` out",
        )
    settings = here(os.environ)
    service = resolve(url, lambda: settings.names)
    user = username or service.username
    bound = environment.find(os.environ, service.key, user, lambda: settings.names)
    if bound is not None:
        return Credential(bound.username, bound.secret)
    with connect(settings.directories.credentials, start=True) as agent:
        try:
            answer = _fetch(agent, service, user)
        except AgentError as error:
            if error.code != "not-found":
                raise
        else:
            return Credential(str(answer.header["username"]), _text(answer.body))
    server = pypirc.credential(settings.pypirc, service.key, user, service.name)
    if server is None or server.username is None or server.password is None:
        return None
    return Credential(server.username, server.password)


def _fetch(agent: Connection, service: Service, username: str | None) -> Answer:
    """Fetch; of several accounts that of the file which defines the name, if it says one."""
    try:
        return _fetch_opening(agent, service.key, username)
    except AgentError as error:
        if error.code != "ambiguous":
            raise
        accounts = [str(name) for name in error.header.get("usernames", ())]
        usual = service.default_username
        if usual not in accounts:
            message = f"{str(error).removesuffix('.')}: {listed(accounts)}."
            raise CommandError(message, "pass one as `username`") from None
    return _fetch_opening(agent, service.key, usual)


def _fetch_opening(agent: Connection, key: str, username: str | None) -> Answer:
    """Fetch; where a vault is merely closed and the environment leads to its passphrase, open it."""
    try:
        return agent.ask("fetch", service=key, username=username)
    except AgentError as error:
        passphrase = given_passphrase(os.environ) if error.code == "locked" else None
        if passphrase is None or agent.ask("status").header["locked"]:
            raise
    agent.ask("unlock", passphrase, timeout=UNLOCK_SECONDS, **session_variables(os.environ))
    return agent.ask("fetch", service=key, username=username)


def _text(secret: bytes) -> str:
    try:
        return secret.decode()
    except UnicodeDecodeError:
        pass  # raised below: the exception would hold the secret
    raise CommandError("The stored secret is not text.", "log in again")
