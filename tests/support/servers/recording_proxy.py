"""Stands before an index and writes down each request: who asked for what, and what came of it.

The user name of a request is noted, its secret never. Requests go on as they came and answers as
they are, one connection for each; what an index links to is relative to the host that was asked,
so nothing is rewritten. It runs in threads of the test's own process.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import socket
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import Message
    from pathlib import Path

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}


class Request(NamedTuple):
    """One request: whose, None if nobody's, and whether a secret came with it."""

    method: str
    path: str
    user: str | None
    secret: bool
    status: int

    def was_let_in(self, user: str) -> bool:
        """Tell whether the server took it for one of `user`, and did what it asks for."""
        return self.user == user and self.status < 400


class RecordingProxy:
    """A port on loopback, `url`, before the server that `connect` makes connections to."""

    def __init__(self, connect: Callable[[], http.client.HTTPConnection]) -> None:
        self.connect = connect
        self.requests: list[Request] = []

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


def basic(headers: Message) -> tuple[str, str] | None:
    """Return user name and secret of a request: of Basic, or as devpi's client sends them."""
    scheme, _, coded = (headers.get("Authorization") or "").partition(" ")
    if scheme.lower() != "basic":
        coded = headers.get("X-Devpi-Auth") or ""
    try:
        user, _, secret = base64.b64decode(coded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, secret) if user else None


class _Handler(BaseHTTPRequestHandler):
    proxy: RecordingProxy

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with closing(self.proxy.connect()) as upstream:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP}
            upstream.request(self.command, self.path, body, headers)
            with upstream.getresponse() as answer:  # it outlives the connection where reading fails
                content = answer.read()
        user, secret = basic(self.headers) or (None, self.headers.get("Authorization"))
        seen = Request(self.command, self.path, user, bool(secret), answer.status)
        self.proxy.requests.append(seen)
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = True
