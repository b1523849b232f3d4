"""The relay's listener on loopback, and what its connections share.

Every connection has a thread. At most `MOST_WAITING` may be open that have not shown the capability
yet: one more closes the oldest of them, so that no other user of the machine can stop the run.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading

from tokenward_relay.connection import Connection
from tokenward_relay.credentials import Credentials
from tokenward_relay.peer import peer_uid
from tokenward_relay.proxies import Proxies, connect
from tokenward_relay.refusal import Refusal
from tokenward_relay.upstream import Upstream, trust

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Final

    from tokenward_relay.agent_link import AgentLink
    from tokenward_relay.grants import Grant

MOST_WAITING: Final = 16
MOST_SERVED: Final = 128
MOST_TUNNELS: Final = 512
_STACK_BYTES: Final = 512 * 1024


class Relay:
    """The relay of one run.

    `capability` is what a request has to show, `leaves` are the certificates of the https hosts,
    `spool` is the folder for uploads that are checked, `uid` the user that may connect, and `shown`
    a descriptor where refusals are told. `ca` is a file of certificates that are trusted besides the
    system's; `proxies` are those towards the indexes, `own_proxies` those of the run.
    """

    def __init__(
        self,
        listener: socket.socket,
        link: AgentLink,
        grants: tuple[Grant, ...],
        capability: bytes,
        leaves: Mapping[str, Leaf],
        spool: str,
        uid: int,
        shown: int,
        ca: str = "",
        proxies: Proxies = Proxies(),  # noqa: B008 - it is immutable
        own_proxies: Proxies = Proxies(),  # noqa: B008 - likewise
    ) -> None:
        self._listener = listener
        self._link = link
        self.port: int = listener.getsockname()[1]
        self.grants = grants
        self.capability = capability
        self.leaves = leaves
        self.spool = spool
        self.credentials = Credentials(link, grants)
        context = trust(ca)
        self.upstream = Upstream(context, proxies)
        self.outside = Upstream(context, own_proxies)
        self.tunnels = _Places(MOST_TUNNELS)
        self._served = _Places(MOST_SERVED)
        self._own_proxies = own_proxies
        self._uid = uid
        self._shown = shown
        self._told: set[str] = set()
        self._waiting: dict[socket.socket, None] = {}
        self._lock = threading.Lock()

    def serve(self) -> None:
        """Accept connections until the process ends."""
        threading.stack_size(_STACK_BYTES)
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:  # no descriptors: wait for one
                threading.Event().wait(0.1)
                continue
            if peer_uid(sock) not in {None, self._uid}:
                sock.close()
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                if len(self._waiting) >= MOST_WAITING:
                    _shut(next(iter(self._waiting)))
                    self._waiting.pop(next(iter(self._waiting)))
                self._waiting[sock] = None
            threading.Thread(target=self._serve_one, args=(sock,), daemon=True).start()

    def _serve_one(self, sock: socket.socket) -> None:
        connection = Connection(self, sock)
        try:
            connection.serve()
        finally:
            with self._lock:
                self._waiting.pop(sock, None)
            connection.leave()

    def note_capability(self, sock: socket.socket) -> None:
        """Note that a connection has shown the capability; it does not wait any more."""
        with self._lock:
            self._waiting.pop(sock, None)

    def take_place(self) -> contextlib.AbstractContextManager[None]:
        """Return a place among the served connections. Raises Refusal at its entry."""
        return self._served.turn()

    def reach(self, host: str, port: int, *, tls: bool) -> socket.socket:
        """Return a connection to a host without a grant, by the run's own proxies. Raises Refusal."""
        return connect(host, port, self._own_proxies.for_host(host, tls=tls))

    def report(self, upload: int, status: str) -> None:
        """Tell the agent what became of an upload, by the number of its question."""
        self._link.tell("published", upload=upload, status=status)

    def tell(self, refusal: Refusal) -> None:
        """Tell the user of a refusal, once for each: pip and maturin hide them."""
        text = f"tokenward: {refusal.text}"
        with self._lock:
            if text in self._told:
                return
            self._told.add(text)
        hint = f"\nhint: {refusal.hint}" if refusal.hint else ""
        with contextlib.suppress(OSError):
            os.write(self._shown, f"{text}{hint}\n".encode())


class Leaf:
    """The certificate of one host, signed by the run's authority, whose key is gone."""

    def __init__(self, host: str, pem: bytes) -> None:
        self._host = host
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.set_alpn_protocols(["http/1.1"])
        self._context.sni_callback = self._check_name
        descriptor = os.memfd_create("leaf", os.MFD_CLOEXEC)
        try:
            os.write(descriptor, pem)
            self._context.load_cert_chain(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)

    def accept(self, sock: socket.socket) -> ssl.SSLSocket:
        """Return the TLS connection within a tunnel. Raises OSError."""
        return self._context.wrap_socket(sock, server_side=True)

    def _check_name(self, _sock: ssl.SSLObject, name: str | None, _context: object) -> int | None:
        if name is None or name.lower() == self._host:
            return None
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME


class _Places:
    """A limit on how many may do something at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._free = threading.BoundedSemaphore(most)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Take one of the places. Raises Refusal if there is none."""
        if not self._free.acquire(blocking=False):
            raise Refusal(503, f"this run has {self._most} connections already")
        try:
            yield
        finally:
            self._free.release()


def _shut(sock: socket.socket) -> None:
    """End a connection that another thread reads."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
