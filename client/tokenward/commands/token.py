"""`auth token`: print the stored secret, for scripts and for looking into trouble.

Asked in this order, and the first that has an answer decides: the environment, the agent, the
user's .pypirc. With `--keyring-provider` that provider's vault is asked and nothing else.
"""

from __future__ import annotations

from tokenward import environment, pypirc, secrets_input, usage
from tokenward.connection import AgentError
from tokenward.errors import CommandError
from tokenward.layout import credential, timestamp
from tokenward_protocol.urls import display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from tokenward.names import Service
    from tokenward.session import Session
    from tokenward.usage import Parser


def describe(parser: Parser, _command: str) -> None:
    """Add options and examples."""
    usage.add_service(parser, "the index: pypi (default), testpypi, a URL or a configured name")
    usage.add_username(parser, "whose secret; needed if several are stored for the index")
    usage.add_provider(parser, "look in that provider's vault alone")
    parser.examples(
        "auth token                              the token for PyPI, and nothing else, on stdout",
        "auth token https://h.example -u alice   alice's password there",
        "auth token testpypi --format json       with user name, source and expiry",
        "auth token -v                           say on stderr which source answered",
    )


class Found:
    """A secret and where it was; `where` is one more pair for the JSON."""

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


def run(arguments: Namespace, session: Session) -> None:
    """Print it."""
    service = session.service(arguments.service)
    username = secrets_input.username(arguments.username, service.username)
    found = _find(service, username, arguments.keyring_provider, session)
    kind, place = found.where
    session.terminal.detail(
        f"From the {kind} {place}: {credential(found.username, found.service)}."
    )
    if not session.json:
        session.terminal.data(found.secret)
        return
    session.done(
        {
            "service": found.service,
            "username": found.username,
            "token": found.secret.decode("utf-8", "surrogateescape"),
            "source": found.source,
            kind: place,
            "expires": timestamp(found.expires),
            "projects": None,
        }
    )


def _find(service: Service, username: str | None, provider: str | None, session: Session) -> Found:
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
        return _from_agent(service, username, provider, session)
    except AgentError as refused:
        if refused.code != "not-found":
            raise
    server = None
    if provider is None:
        name = service.name
        server = pypirc.credential(session.settings.pypirc, service.key, username, name)
    if server:
        secret = (server.password or "").encode()
        return Found(
            server.key or service.key,
            server.username or "",
            secret,
            "pypirc",
            ("file", server.file),
        )
    raise _nothing(service, username, provider)


def _from_agent(
    service: Service, username: str | None, provider: str | None, session: Session
) -> Found:
    try:
        answer = session.ask(
            "fetch", offer=True, service=service.key, username=username, provider=provider
        )
    except AgentError as refused:
        usual = service.default_username  # what the file that defines the name says
        if refused.code != "ambiguous" or usual not in refused.header.get("usernames", ()):
            raise
        return _from_agent(service, usual, provider, session)
    header: dict[str, Any] = answer.header
    return Found(
        header["service"],
        header["username"],
        answer.body,
        "agent",
        ("provider", header["provider"]),
        header["expires"],
    )


def _nothing(service: Service, username: str | None, provider: str | None) -> CommandError:
    name = display(service.key)
    who = "" if username is None else f" of {username}"
    where = "" if provider is None else f" by the provider {provider}"
    login = f"`auth login {service.name or service.key}`"
    return CommandError(f"No credential{who} for {name} is stored{where}.", login)
