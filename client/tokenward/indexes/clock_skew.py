"""Telling the agent the clock of an index, so that its attenuated tokens expire by that clock.

An index judges by its own clock, which the answer to any request of a command shows. The time that
the agent gets is never later than the clock of the index was.
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
"""Seconds that an index's clock may differ; with a larger difference the clock has to be set."""


def tell(session: Session, key: str, web: Web) -> bool:
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
