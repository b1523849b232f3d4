"""Which proxy a connection goes by, and connections through an http proxy.

A proxy is a URL, `http://[USER:PASSWORD@]HOST:PORT`. The hosts that `no_proxy` names, and those
below them, are reached directly; a leading dot makes no difference, and `*` means every host.
Refused are other kinds of proxies: a connection is never made directly instead.
"""

from __future__ import annotations

import base64
import re
import socket
from typing import NamedTuple

import h11

from tokenward_relay.refusal import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

CONNECT_SECONDS: Final = 20
_URL: Final = re.compile(
    rb"(?:[Hh][Tt][Tt][Pp]://)(?:([^/@:]*)(?::([^/@]*))?@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?/?"
)


class Proxy(NamedTuple):
    """An http proxy; `authorization` is the value of its Proxy-Authorization, b"" for none."""

    host: str
    port: int
    authorization: bytes


class Proxies(NamedTuple):
    """The proxies of one side, None for a scheme without one, and the hosts that need none."""

    https: Proxy | None = None
    http: Proxy | None = None
    without: tuple[str, ...] = ()

    def for_host(self, host: str, *, tls: bool) -> Proxy | None:
        """Return the proxy for a host, None for a direct connection."""
        if any(entry in {"*", host} or host.endswith(f".{entry}") for entry in self.without):
            return None
        return self.https if tls else self.http


def read_proxy(url: bytes) -> Proxy | None:
    """Return the proxy that a URL names, None for an empty one. Raises ValueError for another kind."""
    if not url:
        return None
    found = _URL.fullmatch(url if b"://" in url else b"http://" + url)
    if found is None:
        raise ValueError("not an http proxy")
    user, password, host, port = found.groups()
    authorization = b""
    if user is not None:
        pair = _unquote(user) + b":" + _unquote(password or b"")
        authorization = b"Basic " + base64.b64encode(pair)
    return Proxy(host.decode("ascii").strip("[]").lower(), int(port or 80), authorization)


def read_without(no_proxy: str) -> tuple[str, ...]:
    """Return the hosts of a NO_PROXY."""
    entries = (
        entry.strip().lower().removeprefix("*.").lstrip(".") for entry in no_proxy.split(",")
    )
    return tuple(entry for entry in entries if entry)


def connect(host: str, port: int, proxy: Proxy | None) -> socket.socket:
    """Return a connection to a host, through a proxy if there is one. Raises Refusal."""
    try:
        sock = socket.create_connection(
            (host, port) if proxy is None else proxy[:2], CONNECT_SECONDS
        )
    except (OSError, UnicodeError):
        where = host if proxy is None else f"the proxy {proxy.host}"
        raise Refusal(502, f"{where} does not answer") from None
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if proxy is not None:
        try:
            _open_tunnel(sock, f"[{host}]:{port}" if ":" in host else f"{host}:{port}", proxy)
        except BaseException:
            sock.close()
            raise
    return sock


def _open_tunnel(sock: socket.socket, target: str, proxy: Proxy) -> None:
    http = h11.Connection(h11.CLIENT)
    headers = [("Host", target)]
    if proxy.authorization:
        headers.append(("Proxy-Authorization", proxy.authorization.decode("ascii")))
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


def _unquote(text: bytes) -> bytes:
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), text)
