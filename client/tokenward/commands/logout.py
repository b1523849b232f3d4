"""`auth logout`: remove a stored credential, exactly the one that is named."""

from __future__ import annotations

from tokenward import secrets_input, usage
from tokenward.connection import AgentError
from tokenward.errors import CommandError
from tokenward.layout import counted, credential
from tokenward.secrets_input import TOKEN_USER
from tokenward.tokens import PAGES
from tokenward_protocol.urls import display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from tokenward.session import Session
    from tokenward.usage import Parser


def describe(parser: Parser, _command: str) -> None:
    """Add options and examples."""
    usage.add_service(parser, "the index: pypi (default), testpypi, a URL or a configured name")
    usage.add_username(parser, "whose credential; needed if several are stored for the index")
    usage.add_provider(parser, "remove it from that provider's vault alone")
    parser.add_argument(
        "--all",
        action="store_true",
        help="every account of SERVICE; without SERVICE everything that is stored",
    )
    parser.add_argument(
        "--purge", action="store_true", help="delete an adopted one from its keyring as well"
    )
    parser.examples(
        "auth logout                           the token for PyPI",
        "auth logout https://h.example -u bob  bob's password there",
        "auth logout --all                     everything",
    )


def run(arguments: Namespace, session: Session) -> None:
    """Remove it, and say where it is still valid."""
    if arguments.all and arguments.username is not None:
        raise CommandError(
            "`--all` and `--username` exclude each other.", "`--all` removes every account"
        )
    if arguments.all and arguments.service is None:
        removed, count = _remove_everything(arguments, session)
    else:
        removed, count = _remove_service(arguments, session)
    for entry in removed:
        session.terminal.say(f"Removed {credential(entry['username'], entry['service'])}.")
    if count > len(removed):
        session.terminal.say(f"Removed {counted(count - len(removed), 'more credential')}.")
    session.terminal.say(_aftermath(removed))
    for page in dict.fromkeys(PAGES.get(entry["service"], "") for entry in removed):
        session.terminal.hint(page and f"revoke it at {page}")
    session.done({"removed": removed, "count": count})


def _remove_everything(arguments: Namespace, session: Session) -> tuple[list[dict[str, Any]], int]:
    try:
        return _remove(arguments, session, None, None)
    except AgentError as refused:
        if refused.code != "not-found":
            raise
    raise CommandError("Nothing is stored, so nothing was removed.")


def _remove_service(arguments: Namespace, session: Session) -> tuple[list[dict[str, Any]], int]:
    """Remove under each key of the service; that one of them holds nothing is no failure."""
    service = session.service(arguments.service)
    username = secrets_input.username(arguments.username, service.username)
    if arguments.all and username is not None:
        raise CommandError("`--all` and a user name in the URL exclude each other.")
    removed: list[dict[str, Any]] = []
    count = 0
    missing: AgentError | None = None
    for key in service.logout_keys:
        try:
            found, number = _remove(arguments, session, key, username)
        except AgentError as refused:
            if refused.code != "not-found":
                raise
            missing = refused
            continue
        removed += found
        count += number
        if not arguments.all:
            username = found[0]["username"]
    if not removed and missing is not None:
        who = "" if username is None else f" of {username}"
        raise CommandError(
            f"No credential{who} is stored for {display(service.logout_keys[0])}.",
            "`auth list` shows what is stored",
        )
    return removed, count


def _remove(
    arguments: Namespace, session: Session, key: str | None, username: str | None
) -> tuple[list[dict[str, Any]], int]:
    header = session.ask(
        "logout",
        service=key,
        username=username,
        provider=arguments.keyring_provider,
        all=True if arguments.all else None,
        purge=True if arguments.purge else None,
    ).header
    return [
        {k: entry[k] for k in ("service", "username", "provider")} for entry in header["removed"]
    ], header["count"]


def _aftermath(removed: list[dict[str, Any]]) -> str:
    """Say that removing here revokes nothing there."""
    if len(removed) > 1:
        return "They are still valid at their indexes until they are revoked or changed there."
    (entry,) = removed
    changed = "" if entry["username"] == TOKEN_USER else " or changed"
    return f"It is still valid at {display(entry['service'])} until it is revoked{changed} there."
