"""A listener of the agent: the socket, the admitted user ids, and the dispatch of its requests.

The agent's own listener admits its own user and answers every operation. Other listeners admit
further users and answer less. Each of them has a bounded number of connections, so its peers
displace no others.
"""

from __future__ import annotations

from typing import NamedTuple

from tokenward_agent.wire import peer
from tokenward_os.files import uid

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    from tokenward_agent.wire.answer import Answer
    from tokenward_agent.wire.request import Request

    Dispatch = Callable[[Request, memoryview], Answer | Awaitable[Answer]]
    Meet = Callable[[socket.socket], object]
    Admits = Callable[[int], bool]


def own_user(asker: int) -> bool:
    """Tell whether a peer is the agent's own user."""
    return peer.admitted(asker, uid())


def nobody(_sock: socket.socket) -> None:
    """Identify no peer."""


class Door(NamedTuple):
    """One listener: `answer` answers requests, `meet` identifies a peer, `admits` judges its uid.

    `most` is the number of connections at a time, None for as many as the server has room for.
    """

    listener: socket.socket
    answer: Dispatch
    meet: Meet = nobody
    admits: Admits = own_user
    most: int | None = None
