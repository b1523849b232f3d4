"""The TLS side of a tunnel that the relay terminates: one certificate for each host of the run."""

from __future__ import annotations

import os
import ssl
import time

from tokenward_relay.refusal import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from typing import Final

HANDSHAKE_SECONDS: Final = 60
"""Seconds for a handshake: a tool that opens sixty at once reads its certificates sixty times."""


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
        sock.settimeout(HANDSHAKE_SECONDS)
        return self._context.wrap_socket(sock, server_side=True)

    def _check_name(self, _sock: ssl.SSLObject, name: str | None, _context: object) -> int | None:
        if name is None or name.lower() == self._host:
            return None
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME


class Leaves:
    """The certificates of a run, valid between two times in seconds since 1970."""

    def __init__(self, leaves: Mapping[str, bytes], begin: float, end: float) -> None:
        self._leaves = {host: Leaf(host, pem) for host, pem in leaves.items()}
        self._begin = begin
        self._end = end

    def leaf(self, host: str) -> Leaf:
        """Return the certificate of a host. Raises Refusal if the clock says that it is over."""
        if not self._begin <= time.time() < self._end:
            raise Refusal(
                403,
                "the certificates of this run are not valid at this time",
                "start the command again: a run lasts for a day",
            )
        return self._leaves[host]
