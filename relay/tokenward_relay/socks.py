"""The negotiation with a SOCKS5 proxy (RFC 1928), with user name and password (RFC 1929).

Pure: `negotiate` says what to send and how many bytes to read next, and gets exactly so many. So no
byte that belongs to the tunnel is read, in whatever pieces the proxy's answers come.
"""

from __future__ import annotations

import ipaddress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Final

VERSION: Final = 5
_NO_ACCOUNT, _BY_PASSWORD = 0, 2
_IPV4, _NAME, _IPV6 = 1, 3, 4
_CONNECT: Final = b"\x05\x01\x00"
_REASONS: Final = {
    1: "failed",
    2: "does not allow the connection",
    3: "does not reach the network",
    4: "does not reach the host",
    5: "had its connection refused",
    6: "gave up after a while",
    7: "makes no connections",
    8: "does not know this kind of address",
}
"""What the codes of an answer say, to follow the proxy's name."""


class SocksError(Exception):
    """The proxy refuses, or does not speak SOCKS5; the text follows the proxy's name."""


def negotiate(
    host: str, port: int, user: bytes | None = None, password: bytes = b""
) -> Generator[tuple[bytes, int], bytes, None]:
    """Yield what to send, and how many bytes to read then and send in. Raises SocksError.

    It ends when the tunnel to `host` stands. `user` and `password` have 1 to 255 bytes.
    """
    offered = bytes([_NO_ACCOUNT] if user is None else [_NO_ACCOUNT, _BY_PASSWORD])
    version, method = yield bytes([VERSION, len(offered)]) + offered, 2
    if version != VERSION:
        raise SocksError("does not speak SOCKS5")
    if method not in offered:
        needs = "asks for a user name and a password" if user is None else "accepts no password"
        raise SocksError(needs)
    if method == _BY_PASSWORD and user is not None:
        pair = bytes([1, len(user)]) + user + bytes([len(password)]) + password
        _, status = yield pair, 2
        if status:
            raise SocksError("does not accept the user name and the password")
    version, code, _, kind = yield _CONNECT + _address(host) + port.to_bytes(2, "big"), 4
    if version != VERSION:
        raise SocksError("does not speak SOCKS5")
    if code:
        raise SocksError(_REASONS.get(code, "failed"))
    if kind not in {_IPV4, _NAME, _IPV6}:
        raise SocksError("does not speak SOCKS5")
    size = {_IPV4: 4, _IPV6: 16}.get(kind)
    if size is None:
        (size,) = yield b"", 1
    yield b"", size + 2  # where the proxy's own end is: nothing needs that


def _address(host: str) -> bytes:
    """Return a host as a request has it. Raises SocksError for a name that is too long."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.encode()
        if not 0 < len(name) < 1 << 8:
            raise SocksError("takes no name that is so long") from None
        return bytes([_NAME, len(name)]) + name
    return bytes([_IPV4 if address.version == 4 else _IPV6]) + address.packed
