"""An index on loopback whose every byte a test decides.

Each request is read to its end and given to a function, which gets the connection itself: it may
answer before, between, too much, or never. What came is kept.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, NamedTuple, Self

from support.servers.http_server import own_certificate

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable


class Request(NamedTuple):
    """What came in: the first line, the headers as one text in lower case, and the body."""

    line: bytes
    headers: bytes
    body: bytes

    @property
    def authorization(self) -> bytes:
        """The value of Authorization, b"" if there is none; in the case in which it came."""
        return _value(self.headers, b"authorization")


def ok(body: bytes = b"fine", *headers: bytes) -> bytes:
    """Return an ordinary answer."""
    lines = b"".join(each + b"\r\n" for each in headers)
    return b"HTTP/1.1 200 OK\r\n" + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body


class RawIndex:
    """A TLS server; `answer` sends the answer to a request, and `begin` acts on its head alone.

    If `begin` returns True, the body is not read and `answer` not called.
    """

    def __init__(
        self,
        answer: Callable[[ssl.SSLSocket, Request], None] = lambda sock, _: sock.sendall(ok()),
        begin: Callable[[ssl.SSLSocket, bytes], bool] = lambda _sock, _head: False,
    ) -> None:
        self._usual = answer, begin
        self.requests: list[Request] = []
        self.forget()
        self.connections = 0
        context, self.certificate = own_certificate()
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()

    def forget(self) -> None:
        """Begin anew: with what it was made with, and nothing seen."""
        self.answer, self.begin = self._usual
        self.requests.clear()

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                threading.Thread(target=self._serve_one, args=(sock,), daemon=True).start()

    def _serve_one(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            sock = self._context.wrap_socket(plain, server_side=True)
            self.connections += 1
            self._open.add(sock)
            try:
                while head := _read_head(sock):
                    if self.begin(sock, head):
                        return
                    request = _read_request(sock, head)
                    self.requests.append(request)
                    self.answer(sock, request)
            finally:
                self._open.discard(sock)
                sock.close()


def _read_head(sock: ssl.SSLSocket) -> bytes:
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        more = sock.recv(1)
        if not more:
            return b""
        data += more
    return data


def _read_request(sock: ssl.SSLSocket, head: bytes) -> Request:
    line, _, headers = head.partition(b"\r\n")
    length = int(_value(headers, b"content-length") or 0)
    body = b""
    while len(body) < length:
        more = sock.recv(min(1 << 20, length - len(body)))
        if not more:
            raise ConnectionError
        body += more
    return Request(line, headers, body)


def _value(headers: bytes, name: bytes) -> bytes:
    for line in headers.split(b"\r\n"):
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return b""
