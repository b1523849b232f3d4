"""`auth token`: print the stored secret, for scripts and for looking into trouble."""

from __future__ import annotations

from tokenward import lookup, secrets_input, usage
from tokenward.errors import CommandError
from tokenward.layout import credential, timestamp
from tokenward_protocol.urls import display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

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


def run(arguments: Namespace, session: Session) -> None:
    """Print it."""
    service = session.service(arguments.service)
    username = secrets_input.username(arguments.username, service.username)
    found = lookup.find(session, service, username, arguments.keyring_provider, offer=True)
    if found is None:
        raise _nothing(service, username, arguments.keyring_provider)
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


def _nothing(service: Service, username: str | None, provider: str | None) -> CommandError:
    name = display(service.key)
    who = "" if username is None else f" of {username}"
    where = "" if provider is None else f" by the provider {provider}"
    login = f"`auth login {service.name or service.key}`"
    return CommandError(f"No credential{who} for {name} is stored{where}.", login)
