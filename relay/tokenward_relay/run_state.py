"""What the connections of one run share: its grants, credentials and limits, and where it reports."""

from __future__ import annotations

import contextlib
import os
import threading

from tokenward_relay.credentials import Credentials
from tokenward_relay.proxies import Proxies, connect
from tokenward_relay.refusal import Refusal
from tokenward_relay.upstream import Upstream, trust

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping
    from typing import Final

    from tokenward_relay.agent_link import AgentLink
    from tokenward_relay.form import Upload
    from tokenward_relay.grants import Grant
    from tokenward_relay.leaf import Leaf

MOST_SERVED: Final = 128
MOST_TUNNELS: Final = 512


class RunState:
    """The state of one run.

    `port` is the relay's own, `capability` is what a request has to show, `leaves` are the
    certificates of the https hosts, `spool` is the folder for uploads that are checked, and
    `stderr` a descriptor where refusals are told. `ca` is a file of certificates that are trusted
    besides the system's; `proxies` are those towards the indexes, `own_proxies` those of the run.
    """

    def __init__(
        self,
        link: AgentLink,
        grants: tuple[Grant, ...],
        port: int,
        capability: bytes,
        leaves: Mapping[str, Leaf],
        spool: str,
        stderr: int,
        ca: str = "",
        proxies: Proxies = Proxies(),  # noqa: B008 - it is immutable
        own_proxies: Proxies = Proxies(),  # noqa: B008 - likewise
    ) -> None:
        self.grants = grants
        self.port = port
        self.capability = capability
        self.leaves = leaves
        self.spool = spool
        self.credentials = Credentials(link, grants)
        context = trust(ca)
        self.upstream = Upstream(context, proxies)
        self.outside = Upstream(context, own_proxies)
        self.tunnels = Places(MOST_TUNNELS)
        self.served = Places(MOST_SERVED)
        self._link = link
        self._own_proxies = own_proxies
        self._stderr = stderr
        self._told: set[str] = set()
        self._telling = threading.Lock()

    def reach(self, host: str, port: int) -> socket.socket:
        """Return a connection to a host without a grant, by the run's own proxy. Raises Refusal."""
        return connect(host, port, self._own_proxies.for_host(host, tls=True))

    def report(self, grant: Grant, upload: Upload, status: str) -> None:
        """Tell the agent what became of an upload."""
        number = self.grants.index(grant)
        self._link.tell("published", grant=number, status=status, **upload._asdict())

    def tell(self, refusal: Refusal) -> None:
        """Tell the user of a refusal, once for each: pip and maturin hide them."""
        text = f"tokenward: {refusal.text}"
        with self._telling:
            if text in self._told:
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
