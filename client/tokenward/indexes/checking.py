"""`--check`: ask an index whether it accepts a credential (tokenward_protocol/index_check.py).

Requests are made only if the user asked for a check. A sealed credential never comes here: the agent
asks for the user.

An index judges by its own clock, which its answers show: the agent is told that clock, so that its
attenuated tokens expire by it. The time that the agent gets is never later than that clock was.
"""

from __future__ import annotations

from time import time

from tokenward.errors import CommandError
from tokenward.indexes.place import endpoint_of
from tokenward.indexes.web import Web
from tokenward.transport.connect import AgentError
from tokenward_protocol.index_check import REFUSED, Verdict, check
from tokenward_protocol.index_endpoint import host
from tokenward_protocol.index_reply import WebError
from tokenward_protocol.urls import display

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
        with session.terminal.at_work(f"Asking {host(key)} ..."):
            return check(web, endpoint, username, secret), web
    finally:
        for notice in web.notices():
            session.terminal.warn(notice)


def require_accepted(session: Session, key: str, username: str, secret: str) -> str:
    """Report the result of a check, and return its state. Raises CommandError if it is refused."""
    without = "nothing was stored; without `--check` it would be"
    try:
        found, web = ask_verdict(session, key, username, secret)
    except WebError as failed:
        raise CommandError(str(failed), without) from None
    if found.state == REFUSED:
        raise CommandError(found.message, without)
    tell_clock(session, key, web)
    for sentence in filter(None, (found.message, found.unproven)):
        session.terminal.say(sentence)
    return found.state


FARTHEST = 86400
"""Seconds that an index's clock may differ; with a larger difference the clock has to be set."""


def tell_clock(session: Session, key: str, web: Web) -> bool:
    """Tell the agent the clock that `web` saw at the index of a key, if it saw one.

    Return whether attenuated tokens now expire at another time. A refusal of the agent is not an
    error: it then uses the clock of this machine.
    """
    if web.ahead is None or abs(web.ahead) > FARTHEST:
        return False
    try:
        session.ask_once("clock", service=key, now=int(time()) + web.ahead)
    except AgentError as refused:
        session.terminal.detail(f"The agent uses the clock of this machine: {refused}")
        return False
    if web.has_skew:
        session.terminal.say(
            f"Attenuated tokens for {display(key)} expire by its clock from now on."
        )
    return web.has_skew
