"""A listener of the agent: the socket, the admitted user ids, and the dispatch of its requests.

The agent's own listener admits its own user and answers every operation. Other listeners admit
further users and answer less. Each of them has a bounded number of connections, so its peers
displace no others.
"""

from __future__ import annotations

from typing import NamedTuple

from tokenward_agent.wire import peer_uid
from tokenward_os.files import uid

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    from tokenward_agent.wire.answer import Answer
    from tokenward_agent.wire.request import Request

    Dispatch = Callable[[Request, memoryview], Answer | Awaitable[Answer]]
    IdentifyPeer = Callable[[socket.socket], object]
    AdmitsUid = Callable[[int], bool]


def is_own_user(peer: int) -> bool:
    """Tell whether a peer is the agent's own user."""
    return peer_uid.is_admitted(peer, uid())


def identify_nobody(_sock: socket.socket) -> None:
    """Identify no peer."""


def forget_peer(_peer: object) -> None:
    """Do nothing about the peer of a closed connection."""


class Listener(NamedTuple):
    """One listener: `answer` answers requests, `identify_peer` identifies a peer, `admits_uid` judges its uid.

    `max_connections` is the most connections at a time, None for as many as the server has room
    for. `when_closed` is called with the peer of a connection that was closed.
    """

    sock: socket.socket
    answer: Dispatch
    identify_peer: IdentifyPeer = identify_nobody
    admits_uid: AdmitsUid = is_own_user
    max_connections: int | None = None
    when_closed: Callable[[object], None] = forget_peer
