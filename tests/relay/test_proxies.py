"""The proxies of a run: what a URL means, which host goes by which, and a tunnel through a real one."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from tokenward_protocol.proxy_url import ProxyUrl
from tokenward_relay.proxies import Proxies, connect, read_proxy, read_without
from tokenward_relay.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT = (b"ana", b"p&@ss")
SECRET = b"Basic YW5hOnAmQHNz"


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        (b"http://proxy.example", ProxyUrl("http", "proxy.example", 80)),
        (b"http://Proxy.Example:3128/", ProxyUrl("http", "proxy.example", 3128)),
        (b"proxy.example:3128", ProxyUrl("http", "proxy.example", 3128)),
        (b"http://[::1]:8080", ProxyUrl("http", "::1", 8080)),
        (b"http://ana:p%26%40ss@proxy.example:1", ProxyUrl("http", "proxy.example", 1, *ACCOUNT)),
        (b"http://ana@proxy.example", ProxyUrl("http", "proxy.example", 80, b"ana")),
        (b"socks5://proxy.example", ProxyUrl("socks5", "proxy.example", 1080)),
        (b"SOCKS5H://ana:p%26%40ss@[::1]:1", ProxyUrl("socks5h", "::1", 1, *ACCOUNT)),
    ],
)
def test_a_url_of_a_proxy_is_read(url: bytes, proxy: ProxyUrl) -> None:
    assert read_proxy(url) == proxy


def test_no_url_is_no_proxy() -> None:
    assert read_proxy(b"") is None


@pytest.mark.parametrize(
    "url",
    [
        *(b"socks4://proxy.example:1080", b"socks://proxy.example", b"https://proxy.example"),
        *(b"http://", b"http://a/b/c", b"x y", b"http://proxy.example:0", b"http://a:99999"),
        *(b"socks5://ana@proxy.example", b"socks5://:x@a", b"socks5://" + b"x" * 256 + b":y@a"),
    ],
)
def test_another_kind_of_proxy_is_refused_and_not_left_out(url: bytes) -> None:
    with pytest.raises(ValueError, match="prox"):
        read_proxy(url)


@pytest.mark.parametrize(
    ("no_proxy", "host", "is_direct"),
    [
        ("", "index.example", False),
        ("index.example", "index.example", True),
        (".example", "index.example", True),
        ("example", "index.example", True),
        ("*.example", "index.example", True),
        ("ample", "index.example", False),
        ("other.example, index.example", "index.example", True),
        ("*", "index.example", True),
    ],
)
def test_no_proxy_names_the_hosts_that_are_reached_directly(
    no_proxy: str, host: str, *, is_direct: bool
) -> None:
    proxies = Proxies(ProxyUrl("http", "proxy.example", 80), None, read_without(no_proxy))
    assert (proxies.for_host(host, tls=True) is None) == is_direct
    assert proxies.for_host(host, tls=False) is None


class OneProxy:
    """A proxy for one connection: it answers `status`, then sends back what it gets."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self.head = b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self.listener.accept()
        with connection:
            while b"\r\n\r\n" not in self.head:
                if not (data := connection.recv(4096)):
                    return
                self.head += data
            connection.sendall(self._answer)
            while data := connection.recv(4096):
                connection.sendall(data)

    def proxy(self, *account: bytes) -> ProxyUrl:
        return ProxyUrl("http", "127.0.0.1", self.listener.getsockname()[1], *account)


@pytest.fixture
def made() -> Iterator[list[OneProxy]]:
    proxies: list[OneProxy] = []
    yield proxies
    for each in proxies:
        each.listener.close()


def test_a_tunnel_goes_through_a_proxy_with_its_password(made: list[OneProxy]) -> None:
    made.append(OneProxy(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\nhello"))
    with connect("index.example", 443, made[0].proxy(*ACCOUNT)) as sock:
        assert sock.recv(5) == b"hello"  # what follows the head belongs to the tunnel
        sock.sendall(b"ping")
        assert sock.recv(4) == b"ping"
    assert made[0].head.startswith(b"CONNECT index.example:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: " + SECRET in made[0].head


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n", "answered 407 for index.example:443"),
        (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "answered 503"),
        (b"garbage\r\n\r\n", "broke off"),
    ],
)
def test_a_proxy_that_refuses_is_named(made: list[OneProxy], answer: bytes, text: str) -> None:
    made.append(OneProxy(answer))
    with pytest.raises(Refusal) as refused:
        connect("index.example", 443, made[0].proxy())
    assert refused.value.status == 502
    assert text in refused.value.text
    assert "127.0.0.1" in refused.value.text


def test_a_host_that_does_not_answer_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Refusal) as refused:
        connect("127.0.0.1", port, None)
    assert (refused.value.status, refused.value.text) == (502, "127.0.0.1 does not answer")
