"""The relay's side towards the indexes: TLS, proxies, kept connections.

What the relay trusts does not come from a request: the certificates are the system's and those of
the user's `ca`, and the proxy is the user's `proxy` (config.toml), or what the user named when the
credential was stored (accepted.py). Nothing is decoded, no redirect
is followed, and no header is added here.
"""

from __future__ import annotations

import ssl

import httpcore

from tokenward_relay.proxies import authorization_of, open_socks
from tokenward_relay.refusal import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from typing import Final

    from tokenward_protocol.proxy_url import ProxyUrl
    from tokenward_relay.grants import Grant
    from tokenward_relay.proxies import Proxies

READ_SECONDS: Final = 120
ANSWER_SECONDS: Final = 600
"""Seconds for the answer to an upload: an index may look at the file first."""

FAILURES: Final = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,  # it is no NetworkError
)
"""What `Upstream.send` and reading its answer raise."""

BROKEN: Final = (httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError)
"""Those of them that a kept connection makes when the index has just closed it."""

_MOST_CONNECTIONS: Final = 128
_KEPT_SECONDS: Final = 30


class Upstream:
    """The connections to the indexes of one run, made on demand."""

    def __init__(self, context: ssl.SSLContext, proxies: Proxies) -> None:
        self._proxies = proxies
        self._pools = {proxy: _pool(context, proxy) for proxy in proxies.all()}

    def send(
        self,
        grant: Grant,
        method: bytes,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        body: Iterator[bytes] | None = None,
    ) -> AbstractContextManager[httpcore.Response]:
        """Send one request; the context's value is its answer. Raises one of FAILURES."""
        url = httpcore.URL(  # an address of IPv6 without brackets: it is looked up and verified so
            scheme=grant.scheme.encode(), host=grant.host.encode(), port=grant.port, target=target
        )
        proxy = self._proxies.for_host(grant.host, tls=grant.scheme == "https")
        seconds = READ_SECONDS if body is None else ANSWER_SECONDS
        times = {"connect": 20, "read": seconds, "write": READ_SECONDS, "pool": 60}
        return self._pools[proxy].stream(
            method, url, headers=headers, content=body, extensions={"timeout": times}
        )


def trust(ca: str, certificates: Sequence[bytes] = ()) -> ssl.SSLContext:
    """Return what is trusted: the system's certificates, those of the file `ca`, and others (DER).

    Raises OSError if the file cannot be read or holds no certificate, or if one of the others is not one.
    """
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if ca:
        context.load_verify_locations(ca)
    if certificates:
        context.load_verify_locations(cadata=b"".join(certificates))
    return context


def reason_of(error: Exception) -> str:
    """Return a failure in words, without what a library says of a request."""
    text = str(error)
    if isinstance(error, httpcore.ProxyError) and text.startswith("the proxy "):
        return text
    if "Hostname mismatch" in text or "IP address mismatch" in text:
        return "its certificate is for another name"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "its certificate is not trusted (config.toml can name a `ca`)"
    return type(error).__name__


def _pool(context: ssl.SSLContext, proxy: ProxyUrl | None) -> httpcore.ConnectionPool:
    """Return the kept connections that go by a proxy, or directly."""
    through, backend = None, None
    if proxy is not None and proxy.is_socks:
        backend = _SocksBackend(proxy)
    elif proxy is not None:
        host = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
        account = authorization_of(proxy)
        shown = [(b"proxy-authorization", account)] if account else []
        through = httpcore.Proxy(f"http://{host}:{proxy.port}", headers=shown)
    return httpcore.ConnectionPool(
        ssl_context=context,
        proxy=through,
        max_connections=_MOST_CONNECTIONS,
        keepalive_expiry=_KEPT_SECONDS,
        network_backend=backend,
    )


class _SocksBackend(httpcore.SyncBackend):
    """Connections through a SOCKS5 proxy: httpcore's own way needs each answer in one piece."""

    def __init__(self, proxy: ProxyUrl) -> None:
        self._proxy = proxy

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Return a stream to a host by way of the proxy. Raises one of FAILURES."""
        proxy = self._proxy
        stream = super().connect_tcp(proxy.host, proxy.port, timeout, local_address, socket_options)
        try:
            open_socks(
                lambda size: stream.read(size, timeout),
                lambda data: stream.write(data, timeout),
                host,
                port,
                proxy,
            )
        except Refusal as refusal:
            stream.close()
            raise httpcore.ProxyError(refusal.text) from None
        except BaseException:
            stream.close()
            raise
        return stream
