"""A gate before a real index whose tokens end: each names its own end, and is refused from then on.

`MAKES` is what a cloud's program would be: it prints such a token and when it ends.
"""

from __future__ import annotations

import base64
import time
from http.client import HTTPConnection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from support.servers.http_server import Loopback, Request, Response, basic
from support.servers.simple_index import DENIED

if TYPE_CHECKING:
    from collections.abc import Callable

MAKES = """\
#!/bin/sh
echo run >> '{folder}/runs'
end=$(($(date +%s) + {seconds}))
printf '{{"access_token": "token-%s-%s", "expires_in": {seconds}}}\\n' $end $(wc -l < '{folder}/runs')
"""
"""A program in a folder that makes tokens of so many seconds for this gate, and counts its runs."""


_LEEWAY = 1
"""Seconds for which a token is good beyond the end that it names: an answer takes its time."""


class EndingGate(Loopback):
    """Lets requests of the account with a token that is not over through to `answer`.

    `let_in` has the tokens that came with them, and `refused` those that were over.
    """

    def __init__(
        self, username: str, answer: Callable[[Request], Response], *, tls: bool = False
    ) -> None:
        self.let_in: list[str] = []
        self.refused: list[str] = []
        self._username, self._answer_of_index = username, answer
        super().__init__(self._answer, tls=tls)

    def _answer(self, request: Request) -> Response:
        _, _, coded = (request.authorization or "").partition(" ")
        user, _, token = base64.b64decode(coded).decode().partition(":")
        if user != self._username or not _is_valid(token):
            self.refused += [token] if token else []
            return DENIED
        self.let_in.append(token)
        return self._answer_of_index(request)

    def connect(self) -> HTTPConnection:
        """Return a new connection to it, for something that stands before it."""
        address = urlsplit(self.url)
        return HTTPConnection(address.hostname or "", address.port)


def passing_on(
    connect: Callable[[], HTTPConnection], account: tuple[str, str]
) -> Callable[[Request], Response]:
    """Return what a real index answers to the account that it has."""

    def answer(request: Request) -> Response:
        path = f"{request.path}?{request.query}" if request.query else request.path
        headers = {
            name: value
            for name, value in request.headers.items()
            if name not in {"authorization", "connection", "host", "accept-encoding"}
        }
        there = connect()
        try:
            there.request(
                request.method,
                path,
                request.body or None,
                {**headers, "Authorization": basic(*account)},
            )
            found = there.getresponse()
            kind = found.headers.get("Content-Type", "text/html")
            return Response(found.status, found.read(), {"Content-Type": kind})
        finally:
            there.close()

    return answer


def _is_valid(token: str) -> bool:
    name, _, rest = token.partition("-")
    end = rest.partition("-")[0]
    return name == "token" and end.isdigit() and time.time() < int(end) + _LEEWAY
