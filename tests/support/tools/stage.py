"""Where a tool is tried: a home for tools, and an index before which every request is written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from support.tools.tool_home import ALICE, ToolHome
from support.tools.wheels import NAME

if TYPE_CHECKING:
    from http.client import HTTPConnection

    from support.home import Home
    from support.servers.recording_proxy import RecordingProxy, Request


class Index(Protocol):
    """A package index in a process of its own; `tests/support` has two kinds."""

    def connect(self) -> HTTPConnection:
        """Return a new connection to it."""
        ...

    def renew(self) -> str:
        """Make it empty; return the path of the index below the server's root."""
        ...

    def holds(self, file: str) -> bool:
        """Tell whether it has the file."""
        ...


class Stage(ToolHome):
    """One home before one index; what a test does here is undone by making the next one.

    `url` is the server's root, where pypiserver takes uploads, and `simple` where installers look;
    `front` writes the requests down. Where the server has several indexes, `index` is the path of
    the one to use.
    """

    def __init__(self, home: Home, server: Index, front: RecordingProxy) -> None:
        super().__init__(home)
        self.front = front
        self.server = server
        self.index = server.renew()
        self.url = front.url
        self.simple = f"{front.url}simple/"

    def published(self) -> bool:
        """Tell whether the wheel has arrived in the index."""
        return self.server.holds(NAME)

    def let_in(self) -> list[Request]:
        """Return the requests that the index did for alice."""
        return [request for request in self.front.requests if request.was_let_in(ALICE)]
