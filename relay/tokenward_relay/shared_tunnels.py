"""The tunnels of a share: to the hosts that its user named, and never into a private network.

A share lends a container, or another host, a way to an index. A tunnel to any other host would be a
way into the network of this one. So there are only those to `HOST:PORT` that `auth share --tunnel`
named, and only to addresses that are public: the one that is checked is the one that is connected
to. They go by no proxy, which would resolve the name itself.
"""

from __future__ import annotations

import ipaddress
import socket

from tokenward_relay.proxies import CONNECT_SECONDS
from tokenward_relay.refusal import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Tunnels:
    """Opens tunnels to `places`, each `host:port` with the host in lower case."""

    def __init__(self, places: Iterable[str]) -> None:
        self._places = frozenset(places)

    def open(self, host: str, port: int) -> socket.socket:
        """Return a connection. Raises Refusal."""
        if f"{host}:{port}" not in self._places:
            raise Refusal(
                403,
                f"this share opens no tunnel to {host}:{port}",
                f"`auth share --tunnel {host}:{port}` on the share's host",
            )
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise Refusal(502, f"{host} is not known") from None
        public = [each for each in found if is_public(str(each[4][0]))]
        if not public:
            raise Refusal(403, f"this share opens no tunnel to {host}: its address is not public")
        for family, kind, protocol, _, address in public:
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(CONNECT_SECONDS)
                sock.connect(address)
            except OSError:
                sock.close()
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        raise Refusal(502, f"{host} does not answer")


def is_public(text: str) -> bool:
    """Tell whether an address is one of the public internet, as is any IPv4 address within it."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:  # with a zone it is of a link
        return False
    within = _ipv4_within(address)
    return (
        address.is_global and not address.is_multicast and not address.is_reserved
        if within is None
        else is_public(str(within))
    )


def _ipv4_within(address: Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that a packet to an IPv6 address goes to in the end."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)
