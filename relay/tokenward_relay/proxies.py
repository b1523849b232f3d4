"""Which proxy a connection goes by, and connections through http proxies and SOCKS5 ones.

The hosts that `no_proxy` names, and those below them, are reached directly; a leading dot makes no
difference, and `*` means every host. Refused are other kinds of proxies: a connection is never made
directly instead.
"""

from __future__ import annotations

import base64
import socket
from types import MappingProxyType
from typing import NamedTuple

import h11

from tokenward_protocol.proxy_url import parse_proxy_url
from tokenward_relay.refusal import Refusal
from tokenward_relay.socks import SocksError, negotiate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final

    from tokenward_protocol.proxy_url import ProxyUrl

CONNECT_SECONDS: Final = 20


class Proxies(NamedTuple):
    """The proxies of one side, None for a scheme without one, and the hosts that need none.

    `others` are those of single hosts, which go before.
    """

    https: ProxyUrl | None = None
    http: ProxyUrl | None = None
    without: tuple[str, ...] = ()
    others: Mapping[str, ProxyUrl | None] = MappingProxyType({})

    def all(self) -> set[ProxyUrl | None]:
        """Return every proxy of these, and None."""
        return {None, self.https, self.http, *self.others.values()}

    def for_host(self, host: str, *, tls: bool) -> ProxyUrl | None:
        """Return the proxy for a host, None for a direct connection."""
        if tls and host in self.others:
            return self.others[host]
        if any(entry in {"*", host} or host.endswith(f".{entry}") for entry in self.without):
            return None
        return self.https if tls else self.http


def read_proxy(url: bytes) -> ProxyUrl | None:
    """Return the proxy that a URL names, None for an empty one. Raises ValueError for another kind."""
    return parse_proxy_url(url.decode()) if url else None


def authorization_of(proxy: ProxyUrl) -> bytes:
    """Return the value of Proxy-Authorization for an http proxy, b"" without an account."""
    if proxy.user is None:
        return b""
    return b"Basic " + base64.b64encode(proxy.user + b":" + proxy.password)


def read_without(no_proxy: str) -> tuple[str, ...]:
    """Return the hosts of a NO_PROXY."""
    entries = (
        entry.strip().lower().removeprefix("*.").lstrip(".") for entry in no_proxy.split(",")
    )
    return tuple(entry for entry in entries if entry)


def connect(host: str, port: int, proxy: ProxyUrl | None) -> socket.socket:
    """Return a connection to a host, through a proxy if there is one. Raises Refusal."""
    try:
        sock = socket.create_connection(
            (host, port) if proxy is None else (proxy.host, proxy.port), CONNECT_SECONDS
        )
    except (OSError, UnicodeError):
        where = host if proxy is None else f"the proxy {proxy.host}"
        raise Refusal(502, f"{where} does not answer") from None
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if proxy is not None:
        try:
            if proxy.is_socks:
                open_socks(sock.recv, sock.sendall, host, port, proxy)
            else:
                _open_tunnel(sock, f"[{host}]:{port}" if ":" in host else f"{host}:{port}", proxy)
        except BaseException:
            sock.close()
            raise
    return sock


def _open_tunnel(sock: socket.socket, target: str, proxy: ProxyUrl) -> None:
    http = h11.Connection(h11.CLIENT)
    headers = [("Host", target)]
    if authorization := authorization_of(proxy):
        headers.append(("Proxy-Authorization", authorization.decode("ascii")))
    try:
        sock.sendall(
            http.send(h11.Request(method="CONNECT", target=target, headers=headers)) or b""
        )
        while (event := http.next_event()) is h11.NEED_DATA:
            # One byte at a time: what follows the head belongs to the tunnel.
            http.receive_data(sock.recv(1))
    except (OSError, h11.ProtocolError):
        raise Refusal(502, f"the proxy {proxy.host} broke off") from None
    status = getattr(event, "status_code", 0)
    if not 200 <= status < 300:
        raise Refusal(502, f"the proxy {proxy.host} answered {status} for {target}")


def open_socks(
    receive: Callable[[int], bytes],
    send: Callable[[bytes], object],
    host: str,
    port: int,
    proxy: ProxyUrl,
) -> None:
    """Have a SOCKS5 proxy open a tunnel to a host. Raises Refusal, and what the two functions raise.

    `receive` returns at most so many bytes, b"" at the end.
    """
    try:
        if proxy.scheme == "socks5":  # the name is looked up here
            host = str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])
    except (OSError, UnicodeError):
        raise Refusal(502, f"the name {host} is not found") from None
    steps = negotiate(host.partition("%")[0], port, proxy.user, proxy.password)
    try:
        data, size = next(steps)
        while True:
            send(data)
            data, size = steps.send(_read_exactly(receive, size))
    except StopIteration:
        return
    except SocksError as why:
        raise Refusal(502, f"the proxy {proxy.host} {why}") from None
    except OSError:
        raise Refusal(502, f"the proxy {proxy.host} broke off") from None


def _read_exactly(receive: Callable[[int], bytes], size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = receive(size - len(data))
        if not more:
            raise ConnectionError
        data += more
    return data
