"""Which credential answers, for every way in that may hand one out: the one order of the sources.

The environment, the agent, the user's .pypirc: the first that has an answer decides. Each of them
answers for the URL that its credential is for and for what lies below, and for nothing else. Where
a provider is named, its vault is asked and nothing else is.
"""

from __future__ import annotations

from tokenward import environment, pypirc
from tokenward.connection import AgentError
from tokenward.errors import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from tokenward.names import Service
    from tokenward.session import Session


class Found:
    """A secret and where it was.

    `service` is the key that the credential is stored under, `source` is `environment`, `agent` or
    `pypirc`, `where` says what that is called and which one, `expires` is in seconds since 1970.
    """

    __slots__ = ("expires", "secret", "service", "source", "username", "where")

    def __init__(
        self,
        service: str,
        username: str,
        secret: bytes,
        source: str,
        where: tuple[str, str],
        expires: int | None = None,
    ) -> None:
        self.service = service
        self.username = username
        self.secret = secret
        self.source = source
        self.where = where
        self.expires = expires

    def __reduce__(self) -> NoReturn:
        raise TypeError("what was found is not pickled: that would write its secret down")

    @property
    def text(self) -> str:
        """The secret as text; raises CommandError where it is none."""
        try:
            return self.secret.decode()
        except UnicodeDecodeError:
            pass  # raised below: the exception would hold the secret
        raise CommandError("The stored secret is not text.", "log in again")


def find(
    session: Session,
    service: Service,
    username: str | None,
    provider: str | None = None,
    *,
    offer: bool = False,
) -> Found | None:
    """Return what answers for `service`, or None. Raises CommandError, such as for a closed vault.

    `offer`: a person at a terminal may be asked to end a lock.
    """
    if provider is None:
        bound = environment.find(
            session.environ,
            service.key,
            username,
            lambda: session.settings.names,
            session.terminal.detail,
        )
        if bound:
            secret = bound.secret.encode("utf-8", "surrogateescape")
            where = ("variable", bound.variable)
            return Found(bound.key, bound.username, secret, "environment", where)
    try:
        return _from_agent(session, service, username, provider, offer)
    except AgentError as refused:
        if refused.code != "not-found":
            raise
    if provider is not None:
        return None
    server = pypirc.credential(session.settings.pypirc, service.key, username, service.name)
    if server is None:
        return None
    return Found(
        server.key or service.key,
        server.username or "",
        (server.password or "").encode(),
        "pypirc",
        ("file", server.file),
    )


def _from_agent(
    session: Session, service: Service, username: str | None, provider: str | None, offer: bool
) -> Found:
    try:
        answer = session.ask(
            "fetch", offer=offer, service=service.key, username=username, provider=provider
        )
    except AgentError as refused:
        usual = service.default_username  # what the file that defines the name says
        if refused.code != "ambiguous" or usual not in refused.header.get("usernames", ()):
            raise
        return _from_agent(session, service, usual, provider, offer)
    header: dict[str, Any] = answer.header
    return Found(
        header["service"],
        header["username"],
        answer.body,
        "agent",
        ("provider", header["provider"]),
        header["expires"],
    )
