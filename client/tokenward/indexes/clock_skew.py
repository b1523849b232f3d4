"""The clock of an index that was asked: the agent is told, so that what it narrows ends by that one.

An index judges by its own clock. The answer to a request that a command makes anyway says what that
shows; what is told to the agent is never later than it was, by the time that the answer took.
"""

from __future__ import annotations

from time import time

from tokenward.transport.connect import AgentError
from tokenward_protocol.urls import display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward.indexes.web import Web
    from tokenward.session import Session

FARTHEST = 86400
"""Seconds by which an index's clock may differ; a clock that is off by more has to be set."""


def tell(session: Session, key: str, web: Web) -> bool:
    """Tell the agent what `web` saw of the clock of the index of a key, if it saw any.

    Return whether children end at another time now than they would have. An agent that does not want
    to know is no failure: it goes by the clock here then.
    """
    if web.ahead is None or abs(web.ahead) > FARTHEST:
        return False
    try:
        session.plain("clock", service=key, now=int(time()) + web.ahead)
    except AgentError as refused:
        session.terminal.detail(f"The agent goes by the clock here: {refused}")
        return False
    if web.differs:
        session.terminal.say(f"Tokens narrowed for {display(key)} end by its clock from now on.")
    return web.differs
