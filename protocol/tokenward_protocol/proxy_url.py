"""The URL of a proxy, as variables and settings have it: `[SCHEME://][USER[:PASSWORD]@]HOST[:PORT][/]`.

Known are http proxies and SOCKS5: with `socks5` the name of a host is looked up here, with `socks5h` by
the proxy. Every other kind is an error. Pure.
"""

from __future__ import annotations

import re
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

HTTP: Final = "http"
SOCKS: Final = ("socks5", "socks5h")

_PORTS: Final = {HTTP: 80, "socks5": 1080, "socks5h": 1080}
_URL: Final = re.compile(
    r"(?:([A-Za-z0-9]+)://)?(?:([^/@:]*)(?::([^/@]*))?@)?"
    r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?/?"
)
_MOST_SOCKS_BYTES: Final = 255
"""Bytes of a user name or a password at a SOCKS5 proxy (RFC 1929)."""


class ProxyUrl(NamedTuple):
    """A proxy; `host` is in lower case, without brackets. `user` is None without an account."""

    scheme: str
    host: str
    port: int
    user: bytes | None = None
    password: bytes = b""

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS5, not HTTP."""
        return self.scheme in SOCKS

    @property
    def identity(self) -> tuple[str, str, int, bytes | None]:
        """All but the password: which proxy it is, and whose account."""
        return self[:4]


def parse_proxy_url(text: str) -> ProxyUrl:
    """Return the proxy that a URL names. Raises ValueError for another kind, which quotes nothing."""
    found = _URL.fullmatch(text)
    scheme = (found[1] or HTTP).lower() if found else ""
    if found is None or scheme not in _PORTS:
        raise ValueError("neither an http proxy nor a SOCKS5 one")
    user, password = (None if part is None else _unquote(part) for part in found.group(2, 3))
    port = int(found[5] or _PORTS[scheme])
    proxy = ProxyUrl(scheme, found[4].strip("[]").lower(), port, user, password or b"")
    if not 0 < port < 1 << 16:
        raise ValueError("a port of a proxy is out of range")
    if proxy.is_socks and user is not None and not all(map(_fits_socks, (user, proxy.password))):
        raise ValueError("a user name or a password of a SOCKS5 proxy is empty or too long")
    return proxy


def _fits_socks(part: bytes) -> bool:
    return 0 < len(part) <= _MOST_SOCKS_BYTES


def _unquote(text: str) -> bytes:
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda hit: bytes([int(hit[1], 16)]), text.encode())
