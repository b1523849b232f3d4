"""`--check`, for login and token: ask an index about a credential, and report the result."""

from __future__ import annotations

from time import time

from tokenward.errors import CommandError
from tokenward.indexes import clock_skew
from tokenward.indexes.checking import REFUSED, Verdict, check
from tokenward.indexes.place import endpoint_of
from tokenward.indexes.web import Web

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward.session import Session


def ask_verdict(
    session: Session, key: str, username: str, secret: str, web: Web | None = None
) -> tuple[Verdict, Web]:
    """Ask the index of a credential, at its own host only.

    Return its verdict, and the `web` that asked. Raises WebError if it cannot be asked. Clocks that
    differ are reported once.
    """
    web = web or Web(session.environ, time)
    endpoint = endpoint_of(key, session.settings.config.definitions, secret)
    try:
        return check(web, endpoint, username, secret), web
    finally:
        for notice in web.notices():
            session.terminal.warn(notice)


def require_accepted(session: Session, key: str, username: str, secret: str) -> str:
    """Report the result of a check, and return its state. Raises CommandError if it is refused."""
    found, web = ask_verdict(session, key, username, secret)
    if found.state == REFUSED:
        raise CommandError(found.message, "nothing was stored; without `--check` it would be")
    clock_skew.tell(session, key, web)
    for sentence in filter(None, (found.message, found.unproven)):
        session.terminal.say(sentence)
    return found.state
