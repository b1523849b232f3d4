"""A listener of the agent: the socket, the admitted user ids, and the dispatch of its requests.

The agent's own listener admits its own user and answers every operation. Other listeners admit
further users and answer less. Each of them has a bounded number of connections, so its peers
displace no others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tokenward_os.files import uid

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    from tokenward_agent.wire.answer import Answer
    from tokenward_agent.wire.request import Request

    Dispatch = Callable[[Request, memoryview], Answer | Awaitable[Answer]]
    IdentifyPeer = Callable[[socket.socket], object]
    AdmitsUid = Callable[[int], bool]


class ListenAddressError(Exception):
    """The agent cannot listen there; the text is one sentence for the user."""


class AlreadyRunning(Exception):  # noqa: N818 - not a fault: another agent serves
    """Another agent serves what the text names: this address, or this credentials directory."""


def is_own_user(peer: int) -> bool:
    """Tell whether a peer is the agent's own user; no other is admitted, not even root."""
    return peer == uid()


def identify_nobody(_sock: socket.socket) -> None:
    """Identify no peer."""


def forget_peer(_peer: object) -> None:
    """Do nothing about the peer of a closed connection."""


class Listener(NamedTuple):
    """One listener, whose requests `answer` answers.

    `identify_peer` identifies a peer, `admits_uid` judges its uid.
    `max_connections` is the most connections at a time, None for as many as the server has room
    for. `when_closed` is called with the peer of a connection that was closed.
    """

    sock: socket.socket
    answer: Dispatch
    identify_peer: IdentifyPeer = identify_nobody
    admits_uid: AdmitsUid = is_own_user
    max_connections: int | None = None
    when_closed: Callable[[object], None] = forget_peer
