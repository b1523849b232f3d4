"""All indexes of a run on one port of loopback, and the proxy by which those of https are reached.

A CONNECT is answered as a proxy does, whatever it names; behind it is TLS, with a certificate for
`NAMES`, and an index. What comes without a CONNECT is for the index at http. Each
request is read to its end as h11 reads it, kept, and answered by 200 without a body.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

import h11

from support.relay.attacks import Seen
from support.servers.certificates import write_certificates

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ["index.example", "devpi.example"]


class Indexes:
    """`seen` has the requests that arrived, `broken` what was wrong with others: it has to stay empty.

    `ca` is the file of the certificate to trust, `proxy` the URL of the proxy.
    """

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.broken: list[str] = []
        self._folder = tempfile.TemporaryDirectory(prefix="indexes-", dir="/tmp")
        folder = Path(self._folder.name)
        self.ca = str(write_certificates(folder, NAMES))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "server.pem")
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.proxy = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._folder.cleanup()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                threading.Thread(target=self._serve_one, args=(sock,), daemon=True).start()

    def _serve_one(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            try:
                self._answer(sock, b"127.0.0.1:%d" % self.port)
            except h11.RemoteProtocolError as error:
                self.broken.append(str(error))

    def _answer(self, sock: socket.socket, authority: bytes) -> None:
        """Answer requests to one index. Raises OSError and h11.RemoteProtocolError."""
        http = h11.Connection(h11.SERVER)
        while True:
            events = list(_request(http, sock))
            if not isinstance(events[0], h11.Request):
                return
            asked = events[0]
            if asked.method == b"CONNECT":
                sock.sendall(http.send(h11.Response(status_code=200, headers=[])) or b"")
                with self._context.wrap_socket(sock, server_side=True) as inside:
                    self._answer(inside, asked.target.removesuffix(b":443"))
                return
            body = b"".join(bytes(event.data) for event in events if isinstance(event, h11.Data))
            headers = tuple((bytes(name), bytes(value)) for name, value in asked.headers)
            self.seen.append(
                Seen(authority, bytes(asked.method), bytes(asked.target), headers, body)
            )
            answer = h11.Response(status_code=200, headers=[("Content-Length", "0")])
            sock.sendall((http.send(answer) or b"") + (http.send(h11.EndOfMessage()) or b""))
            if http.our_state is not h11.DONE:
                return
            http.start_next_cycle()


def _request(http: h11.Connection, sock: socket.socket) -> Iterator[object]:
    """Yield the events of one request; one that is no Request if the relay has hung up."""
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(sock.recv(65536))
            continue
        yield event
        if not isinstance(event, h11.Request | h11.Data):
            return
