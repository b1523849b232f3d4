"""A way in: a listening socket, who may come in by it, and who answers them.

The agent's own door is for its own user, and for everything. Others are for more people and for
less; each of those has a bounded number of connections, so that whoever stands before it crowds
nobody else out.
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
    """Make nothing of a peer."""


class Door(NamedTuple):
    """`answer` answers, each request carries what `meet` made of its peer, `admits` judges its uid.

    `most` connections at a time, None for as many as the server has room for.
    """

    listener: socket.socket
    answer: Dispatch
    meet: Meet = nobody
    admits: Admits = own_user
    most: int | None = None
