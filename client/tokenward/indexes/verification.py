"""`--check`: whether an index takes a credential, as login and token ask it and say it."""

from __future__ import annotations

from time import time

from tokenward.errors import CommandError
from tokenward.indexes import clock_skew
from tokenward.indexes.checking import REFUSED, Verdict, check
from tokenward.indexes.place import place_of
from tokenward.indexes.web import Web

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward.session import Session


def verdict(
    session: Session, key: str, username: str, secret: str, web: Web | None = None
) -> tuple[Verdict, Web]:
    """Ask the index that a credential is stored for, at its own host and nowhere else.

    Return what it says, and by which `web` it was asked. Raises WebError where it cannot be asked.
    A clock that differs is said, once.
    """
    web = web or Web(session.environ, time)
    place = place_of(key, session.settings.config.definitions, secret)
    try:
        return check(web, place, username, secret), web
    finally:
        for notice in web.notices():
            session.terminal.warn(notice)


def require(session: Session, key: str, username: str, secret: str) -> str:
    """Say what a check proves, and return its state. Raises CommandError for a refusal, as `verdict`."""
    found, web = verdict(session, key, username, secret)
    if found.state == REFUSED:
        raise CommandError(found.message, "nothing was stored; without `--check` it would be")
    clock_skew.tell(session, key, web)
    for sentence in filter(None, (found.message, found.unproven)):
        session.terminal.say(sentence)
    return found.state
