"""The relay's core, put together as the process puts it together, for bytes that are there at once.

It answers with a status, and keeps what an index would see. No socket, no TLS: what is inside of a
tunnel is read as it stands.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import h11

from support.relay.attacks import Seen
from tokenward_relay import form, head
from tokenward_relay.grants import PASS, PUBLISH, READ, Grant, decide, read_roots
from tokenward_relay.refusal import Refusal
from tokenward_relay.target import parse_target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CAPABILITY = b"tokenward-run-" + b"Cc0_-" * 8 + b"abc"
PORT = 41999
OURS = b"Basic b3VyczpvZi10aGUtaW5kZXg="
GRANTS = (
    Grant("corp", "https", "index.example", 443, ((),), (), (b"",), ("mine",)),
    Grant(
        *("dev", "https", "devpi.example", 443),
        roots=read_roots("/alice/dev/", "devpi"),
        passes=((b"+api",),),
        upload=(b"alice", b"dev", b""),
        projects=("mine",),
    ),
    Grant("local", "http", "127.0.0.1", 8080, ((b"team",),), (), (b"team", b""), ("mine",)),
)


class Core:
    """Takes what one connection brings, and keeps what reaches an index."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []

    def send(self, raw: bytes, way: str, to: str, inside: bytes) -> int:
        """Return the status that the tool gets last, 0 if the connection just ends."""
        if way == "tunnel":
            return self._inside(_of("https", *head.parse_connect(to.encode())), raw)
        return self._serve(raw, None, inside)

    def _inside(self, grants: Sequence[Grant], raw: bytes) -> int:
        return self._serve(raw, grants, b"")

    def _serve(self, raw: bytes, grants: Sequence[Grant] | None, inside: bytes) -> int:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=head.MAX_HEAD)
        connection.receive_data(raw)
        connection.receive_data(b"")
        status = 0
        while True:
            try:
                request = connection.next_event()
                if not isinstance(request, h11.Request):
                    return status
                status = self._answer(connection, request, grants, inside)
                if status == 200 and connection.our_state is not h11.SEND_RESPONSE:
                    return status
                connection.send(h11.Response(status_code=status, headers=[("Content-Length", "0")]))
                connection.send(h11.EndOfMessage())
                connection.start_next_cycle()
            except h11.RemoteProtocolError as error:
                return error.error_status_hint
            except h11.LocalProtocolError:
                return status
            except Refusal as refused:
                return refused.status

    def _answer(
        self,
        connection: h11.Connection,
        request: h11.Request,
        grants: Sequence[Grant] | None,
        inside: bytes,
    ) -> int:
        asked = head.Head(
            request.method, request.target, tuple(request.headers), request.http_version
        )
        head.check_head(asked)
        if grants is not None:
            head.require_host(asked, grants[0])
            return self._request(connection, asked, grants, asked.target)
        if asked.method == b"CONNECT":
            head.require_capability(asked, CAPABILITY)
            found = _of("https", *head.parse_connect(asked.target))
            if connection.trailing_data[0]:
                raise Refusal(400, "the tunnel is not open yet")
            return self._inside(found, inside) if found else 200
        if asked.target.startswith(b"/"):
            head.reverse_capability(asked, CAPABILITY, PORT)
            name, slash, path = asked.target[1:].partition(b"/")
            found = [grant for grant in GRANTS if grant.name.encode() == name]
            if not found:
                raise Refusal(404, "this run has no index of that name")
            return self._request(connection, asked, found, slash + path, (PUBLISH,))
        head.require_capability(asked, CAPABILITY)
        host, port, path = head.parse_absolute(asked.target)
        found = _of("http", host, port)
        if any(grant.host == host and grant.scheme == "https" for grant in GRANTS):
            raise Refusal(403, "this index is reached by https alone")
        if not found:
            return 200  # forwarded, to a host that is no index
        head.require_host(asked, found[0])
        return self._request(connection, asked, found, path)

    def _request(
        self,
        connection: h11.Connection,
        asked: head.Head,
        grants: Sequence[Grant],
        path: bytes,
        ways: tuple[str, ...] = (READ, PUBLISH, PASS),
    ) -> int:
        target = parse_target(path)
        grant, kind = decide(grants, asked.method, target)
        if kind not in ways:
            raise Refusal(403, "the loopback URL is for uploads alone")
        if kind == PUBLISH:
            headers, body = self._upload(connection, asked, grant)
        else:
            if kind == READ and not head.is_empty_body(asked):
                raise Refusal(400, "a read has no body")
            body = b"".join(_body(connection))
            headers = (
                head.headers_for_index(asked, grant, OURS)
                if kind == READ
                else head.headers_to_pass(asked, grant, CAPABILITY)
            )
        self.seen.append(Seen(grant.authority, asked.method, target.raw, tuple(headers), body))
        return 200

    def _upload(
        self, connection: h11.Connection, asked: head.Head, grant: Grant
    ) -> tuple[list[tuple[bytes, bytes]], bytes]:
        spools: list[io.BytesIO] = []

        def open_file() -> io.BytesIO:
            spools.append(io.BytesIO())
            return spools[-1]

        reader = form.FormReader(form.boundary_of(asked), open_file, 1 << 20)
        for piece in _body(connection):
            reader.feed(piece)
        whole = reader.finish()
        form.check_form(whole, grant)
        new = form.RewrittenForm(whole, b"0123456789abcdefghijklmnopqrstuv")
        content = (new.content_type, new.length)
        body = b"".join(
            piece if isinstance(piece, bytes) else read_spool(piece.spool) for piece in new.parts()
        )
        assert len(body) == new.length
        return head.headers_for_index(asked, grant, OURS, content), body


def read_spool(spool: object) -> bytes:
    """Return what was written into a spool of these tests."""
    assert isinstance(spool, io.BytesIO)
    return spool.getvalue()


def _body(connection: h11.Connection) -> Iterator[bytes]:
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Data):
            yield bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return
        else:
            raise Refusal(400, "the request is cut off")


def _of(scheme: str, host: str, port: int) -> list[Grant]:
    return [
        grant for grant in GRANTS if (grant.scheme, grant.host, grant.port) == (scheme, host, port)
    ]
