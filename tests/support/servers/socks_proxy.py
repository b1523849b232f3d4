"""A SOCKS5 proxy on loopback (RFC 1928, RFC 1929) that answers one byte at a time.

It leads every name to loopback, as a proxy that resolves for its clients does. `asked` has each
place that a tunnel was asked for, as it was asked.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from typing import TYPE_CHECKING, Self

from tokenward_os.tunnel import pump

if TYPE_CHECKING:
    from collections.abc import Sequence


class SocksProxy:
    """A proxy that wants `account`, a user name and a password, if that is given."""

    def __init__(self, account: tuple[bytes, bytes] | None = None) -> None:
        self._account = account
        self.asked: list[tuple[str, int]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError), sock:
            version, count = _read(sock, 2)
            methods = _read(sock, count)
            wanted = 0 if self._account is None else 2
            if version != 5 or wanted not in methods:
                _dribble(sock, [5, 0xFF])
                return
            _dribble(sock, [5, wanted])
            if self._account is not None:
                assert _read(sock, 1) == b"\1"
                pair = tuple(_read(sock, _read(sock, 1)[0]) for _ in range(2))
                _dribble(sock, [1, pair != self._account])
                if pair != self._account:
                    return
            assert _read(sock, 3) == b"\5\1\0"
            (kind,) = _read(sock, 1)
            if kind == 3:
                host = _read(sock, _read(sock, 1)[0]).decode()
            else:
                host = str(ipaddress.ip_address(_read(sock, 4 if kind == 1 else 16)))
            port = int.from_bytes(_read(sock, 2), "big")
            self.asked.append((host, port))
            try:
                there = socket.create_connection(("127.0.0.1", port))
            except OSError:
                _dribble(sock, [5, 5, 0, 1, 0, 0, 0, 0, 0, 0])
                return
            name = b"bound.example"
            _dribble(sock, [5, 0, 0, 3, len(name), *name, 0, 80])
            pump(sock, there)


def _read(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _dribble(sock: socket.socket, answer: Sequence[int]) -> None:
    for each in answer:
        sock.sendall(bytes([each]))
