"""`auth refresh`: have the command of a recipe make a new credential, with the user there."""

from __future__ import annotations

from tokenward.recipes.refreshing import refresh
from tokenward.transport.connect import AgentError
from tokenward.ui import secret_input
from tokenward.ui.formatting import timestamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward.commands import Namespace, Parser, Session
    from tokenward.errors import CommandError


def describe(parser: Parser, _command: str) -> None:
    """Add options and examples."""
    parser.add_service("the index: pypi (default), testpypi, a URL or a configured name")
    parser.add_username("the user name; needed if several are stored")
    parser.examples(
        "auth refresh https://europe-python.pkg.dev/corp/python/    gcloud asks, if it has to",
        "auth refresh corp                                          a name of config.toml",
    )


def run(arguments: Namespace, session: Session) -> None:
    """Run the command here, and keep what it makes."""
    service = session.service(arguments.service)
    username = secret_input.chosen_username(
        arguments.username, service.username, service.password, none=arguments.no_username
    )
    done = []
    missing: CommandError | None = None
    for key in service.login_keys:
        try:
            end = refresh(session, key, username)
        except AgentError as refused:
            if refused.code != "not-found":
                raise
            missing = refused
        else:
            done.append({"service": key, "expires": timestamp(end)})
    if not done and missing is not None:
        raise missing
    session.write_json({"refreshed": done})
