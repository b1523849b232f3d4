"""The proxies of a run: what a URL means, which host goes by which, and a tunnel through a real one."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from tokenward_relay.proxies import Proxies, Proxy, connect, read_proxy, read_without
from tokenward_relay.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = b"Basic YW5hOnAmQHNz"


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        (b"", None),
        (b"http://proxy.example", Proxy("proxy.example", 80, b"")),
        (b"http://Proxy.Example:3128/", Proxy("proxy.example", 3128, b"")),
        (b"proxy.example:3128", Proxy("proxy.example", 3128, b"")),
        (b"http://[::1]:8080", Proxy("::1", 8080, b"")),
        (b"http://ana:p%26%40ss@proxy.example:1", Proxy("proxy.example", 1, SECRET)),
        (b"http://ana@proxy.example", Proxy("proxy.example", 80, b"Basic YW5hOg==")),
    ],
)
def test_a_url_of_a_proxy_is_read(url: bytes, proxy: Proxy | None) -> None:
    assert read_proxy(url) == proxy


@pytest.mark.parametrize(
    "url",
    [b"socks5://proxy.example:1080", b"https://proxy.example", b"http://", b"http://a/b/c", b"x y"],
)
def test_another_kind_of_proxy_is_refused_and_not_left_out(url: bytes) -> None:
    with pytest.raises(ValueError, match="not an http proxy"):
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
    proxies = Proxies(Proxy("proxy.example", 80, b""), None, read_without(no_proxy))
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

    def proxy(self, authorization: bytes = b"") -> Proxy:
        return Proxy("127.0.0.1", self.listener.getsockname()[1], authorization)


@pytest.fixture
def made() -> Iterator[list[OneProxy]]:
    proxies: list[OneProxy] = []
    yield proxies
    for each in proxies:
        each.listener.close()


def test_a_tunnel_goes_through_a_proxy_with_its_password(made: list[OneProxy]) -> None:
    made.append(OneProxy(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\nhello"))
    with connect("index.example", 443, made[0].proxy(SECRET)) as sock:
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
