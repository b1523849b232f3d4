"""What the connections of one run share: its grants, credentials and limits, and where it reports."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from ipaddress import ip_address

from tokenward_relay.credentials import Credentials
from tokenward_relay.proxies import Proxies, connect
from tokenward_relay.refusal import Refusal
from tokenward_relay.upstream import Upstream

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from typing import Final

    from tokenward_relay.agent_link import AgentLink
    from tokenward_relay.grants import Grant
    from tokenward_relay.leaf import Leaves
    from tokenward_relay.shared_tunnels import Tunnels

MOST_SERVED: Final = 128
MOST_TUNNELS: Final = 512
_MOST_TOLD: Final = 100
"""The most refusals that the terminal of a run gets: a tool may ask for anything."""


class RunState:
    """The state of one run.

    `port` is the relay's own, `capability` is what a request has to show, `leaves` are the
    certificates of the https hosts, `spool` is the folder for uploads that are checked, and
    `stderr` a descriptor where refusals are told. `context` says what is trusted; `proxies` are
    those towards the indexes, `own_proxies` those of the run. `tunnels` are those of a share, None
    for a run of this host, which may reach every host.
    """

    def __init__(
        self,
        link: AgentLink,
        grants: tuple[Grant, ...],
        port: int,
        capability: bytes,
        leaves: Leaves,
        spool: str,
        stderr: int,
        context: ssl.SSLContext,
        proxies: Proxies = Proxies(),  # noqa: B008 - it is immutable
        own_proxies: Proxies = Proxies(),  # noqa: B008 - likewise
        tunnels: Tunnels | None = None,
    ) -> None:
        self.grants = grants
        self.port = port
        self.capability = capability
        self.spool = spool
        self.credentials = Credentials(link, grants)
        self.upstream = Upstream(context, proxies)
        self.outside = Upstream(context, own_proxies)
        self.tunnels = Places(MOST_TUNNELS)
        self.served = Places(MOST_SERVED)
        self.leaves = leaves
        self._link = link
        self._own_proxies = own_proxies
        self._shared_tunnels = tunnels
        self._stderr = stderr
        self._told: set[str] = set()
        self._telling = threading.Lock()

    def reach(self, host: str, port: int) -> socket.socket:
        """Return a connection to a host without a grant, by the run's own proxy. Raises Refusal."""
        if self._shared_tunnels is not None:
            return self._shared_tunnels.open(host, port)
        self.require_elsewhere(host, port)
        return connect(host, port, self._own_proxies.for_host(host, tls=True))

    def require_forwarding(self, host: str, port: int) -> None:
        """Raise Refusal unless requests for `http://` URLs of a host are forwarded."""
        if self._shared_tunnels is not None:
            raise Refusal(403, f"this share forwards no request to {host}")
        self.require_elsewhere(host, port)

    def require_elsewhere(self, host: str, port: int) -> None:
        """Refuse to connect to this relay itself, by whatever name. Raises Refusal."""
        if port != self.port:
            return
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return  # the attempt to connect will say so
        for *_, address in found:
            ip = ip_address(str(address[0]).partition("%")[0])
            ip = getattr(ip, "ipv4_mapped", None) or ip
            if ip.is_loopback or ip.is_unspecified:
                raise Refusal(403, "a tunnel to the relay itself leads nowhere")

    def tell_at(self, sock: socket.socket) -> None:
        """Tell refusals at this socket from now on, which does not block."""
        with self._telling:
            self._stderr = sock.detach()

    def report(self, upload: int, status: str) -> None:
        """Tell the agent what became of an upload, by the number of its question."""
        self._link.tell("published", upload=upload, status=status)

    def tell(self, refusal: Refusal) -> None:
        """Tell the user of a refusal, once for each: pip and maturin hide them."""
        text = f"tokenward: {refusal.text}"
        with self._telling:
            if text in self._told or len(self._told) >= _MOST_TOLD:
                return
            self._told.add(text)
        hint = f"\nhint: {refusal.hint}" if refusal.hint else ""
        with contextlib.suppress(OSError):
            os.write(self._stderr, f"{text}{hint}\n".encode())


class Places:
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
