"""One connection at the relay's port, from its first byte to its end.

It is a proxy's: `CONNECT host:port`, or an absolute `http://` URL, with the capability as password.
A host of a grant is terminated: the relay speaks TLS with a certificate that only this run trusts,
and judges each request within. Every other host gets a blind tunnel. A tool that obeys no proxy
uploads to the loopback URL instead, with the capability as the password of its user name.

Refusals are answered with their sentence as reason phrase and body, and once on the terminal of the
run. No 401 reaches a tool: it would ask the user for a password.
"""

from __future__ import annotations

import contextlib

import h11

from tokenward_os.tunnel import pump
from tokenward_relay import exchange
from tokenward_relay.head import (
    Head,
    check_head,
    parse_absolute,
    parse_connect,
    require_capability,
    require_host,
    reverse_capability,
)
from tokenward_relay.refusal import Refusal
from tokenward_relay.target import parse_target
from tokenward_relay.tool_stream import FRONT_SECONDS, HEAD_SECONDS, IDLE_SECONDS, ToolStream

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from typing import Final

    from tokenward_relay.grants import Grant
    from tokenward_relay.run_state import RunState


UPLOAD: Final = b"/upload"
"""Stands before the path of the index in the loopback URL, in this one spelling."""


class Connection:
    """Serves one connection, whose `sock` is closed at its end.

    `note_capability` is called with it once the capability was shown.
    """

    def __init__(
        self,
        run: RunState,
        sock: socket.socket,
        note_capability: Callable[[socket.socket], object],
    ) -> None:
        self._run = run
        self._note_capability = note_capability
        self._sock = sock
        self._is_ours = False  # the capability was shown
        self._place = contextlib.ExitStack()

    def serve(self) -> None:
        """Answer requests until the tool or the relay ends the connection."""
        with (
            contextlib.suppress(OSError, h11.ProtocolError),
            contextlib.closing(self._sock),
            self._place,
        ):
            self._serve(ToolStream(self._sock), ())

    def _serve(self, stream: ToolStream, inside: Sequence[Grant]) -> None:
        """Answer requests; `inside` are the grants of the host that a tunnel leads to."""
        while True:
            idle, limit = IDLE_SECONDS, HEAD_SECONDS
            if not self._is_ours:
                idle = limit = FRONT_SECONDS
            try:
                request = stream.read_head(idle, limit)
            except h11.RemoteProtocolError as error:
                self._refuse(stream, b"", Refusal(error.error_status_hint, "not a valid request"))
                return
            if request is None:
                return
            head = Head(
                bytes(request.method),
                bytes(request.target),
                tuple((bytes(name), bytes(value)) for name, value in request.headers),
                bytes(request.http_version),
            )
            try:
                check_head(head)
                if head.method == b"CONNECT" and not inside:
                    self._connect(stream, head)
                    return
                self._answer(stream, head, inside)
            except Refusal as refusal:
                self._refuse(stream, head.method, refusal)
                return
            if stream.http.our_state is h11.MUST_CLOSE or stream.http.their_state is not h11.DONE:
                return
            stream.http.start_next_cycle()

    def _connect(self, stream: ToolStream, head: Head) -> None:
        """Open a tunnel: into this relay for a host of a grant, else to the host."""
        self._show(head)
        host, port = parse_connect(head.target)
        inside = [each for each in self._run.grants if (each.host, each.port) == (host, port)]
        secure = [each for each in inside if each.scheme == "https"]
        if stream.http.trailing_data[0]:
            raise Refusal(400, "data before the tunnel")
        if inside and not secure:  # maturin wants a tunnel for http, too
            self._accept_tunnel(stream)
            self._serve(ToolStream(self._sock), inside)
            return
        if secure:
            leaf = self._run.leaves.leaf(host)
            self._accept_tunnel(stream)
            with contextlib.closing(leaf.accept(self._sock)) as encrypted:
                self._serve(ToolStream(encrypted), secure)
            return
        with self._run.tunnels.turn():
            other = self._run.reach(host, port)
            self._accept_tunnel(stream)
            self._place.close()  # a tunnel has a place of its own
            pump(self._sock, other)

    @staticmethod
    def _accept_tunnel(stream: ToolStream) -> None:
        list(stream.body())
        stream.send(h11.Response(status_code=200, headers=[]))

    def _show(self, head: Head) -> None:
        require_capability(head, self._run.capability)
        self._note_shown()

    def _note_shown(self) -> None:
        if not self._is_ours:
            self._is_ours = True
            self._note_capability(self._sock)
            self._place.enter_context(self._run.served.turn())

    def _answer(self, stream: ToolStream, head: Head, inside: Sequence[Grant]) -> None:
        if inside:
            require_host(head, inside[0])
            exchange.answer(self._run, stream, head, parse_target(head.target), inside)
        elif head.target.startswith(b"/"):
            self._answer_reverse(stream, head)
        else:
            self._answer_plain(stream, head)

    def _answer_reverse(self, stream: ToolStream, head: Head) -> None:
        """Answer an upload to the loopback URL, `/upload/the/path/of/the/index`."""
        reverse_capability(head, self._run.capability, self._run.port)
        self._note_shown()
        grants = [each for each in self._run.grants if each.upload][:1]
        if not grants or head.method != b"POST" or not head.target.startswith(UPLOAD + b"/"):
            raise Refusal(400, "this URL is for uploads to an index of this run")
        exchange.answer(
            self._run, stream, head, parse_target(head.target.removeprefix(UPLOAD)), grants
        )

    def _answer_plain(self, stream: ToolStream, head: Head) -> None:
        """Answer a request for an `http://` URL."""
        self._show(head)
        host, port, target = parse_absolute(head.target)
        if any(each.scheme == "https" and each.host == host for each in self._run.grants):
            raise Refusal(403, f"{host} is reached by https alone")
        grants = [each for each in self._run.grants if each.scheme == "http"]
        inside = [each for each in grants if (each.host, each.port) == (host, port)]
        if inside:
            require_host(head, inside[0])
            exchange.answer(self._run, stream, head, parse_target(target), inside)
        else:
            self._run.require_forwarding(host, port)
            exchange.forward_plain(self._run, stream, head, host, port, target)

    def _refuse(self, stream: ToolStream, method: bytes, refusal: Refusal) -> None:
        """Answer a refusal, and close the connection behind it."""
        if self._is_ours:
            self._run.tell(refusal)
        if stream.http.our_state is not h11.SEND_RESPONSE and stream.http.our_state is not h11.IDLE:
            return
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Connection", "close")]
        if refusal.status == 407:
            headers.append(("Proxy-Authenticate", 'Basic realm="tokenward"'))
        text = f"{refusal.text} (hint: {refusal.hint})" if refusal.hint else refusal.text
        body = f"tokenward: {text}\n".encode()
        headers.append(("Content-Length", str(len(body))))
        reason = f"tokenward: {refusal.text}".encode("ascii", "replace")
        stream.send(h11.Response(status_code=refusal.status, headers=headers, reason=reason))
        if method != b"HEAD":
            stream.send(h11.Data(data=body))
        stream.send(h11.EndOfMessage())
        stream.drain()
