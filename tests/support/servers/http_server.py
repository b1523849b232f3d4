"""An HTTP server on loopback that answers by a function and remembers what it was asked.

The stubs of registries in the tests are such functions. Each server is for one test: it has a port
of the kernel's choice and ends with the `with` block.
"""

from __future__ import annotations

import base64
import ssl
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Request(NamedTuple):
    """What came in; names of headers are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def authorization(self) -> str | None:
        return self.headers.get("authorization")


class Response(NamedTuple):
    """What goes out; `Date` is the time of this machine unless `headers` have another."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}


class Loopback:
    """A server that answers by `answer`; `requests` has every request so far.

    With `tls` it has a certificate of its own making, `certificate` in PEM for clients that look.
    """

    def __init__(self, answer: Callable[[Request], Response], *, tls: bool = False) -> None:
        self.requests: list[Request] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                path, _, query = self.path.partition("?")
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, path, query, headers, body)
                server.requests.append(request)
                response = answer(request)
                send = self.send_response_only if "Date" in response.headers else self.send_response
                send(response.status)
                for name, value in response.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(response.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(response.body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's name)
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._scheme = "https" if tls else "http"
        self.certificate = b""
        if tls:
            context, self.certificate = own_certificate()
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def netloc(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"{self._scheme}://{self.netloc}/"

    def seen(self) -> list[str | None]:
        """Return the `Authorization` of every request."""
        return [request.authorization for request in self.requests]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def basic(username: str, password: str) -> str:
    """Return the value of `Authorization` for a user name and a password."""
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"


def own_certificate() -> tuple[ssl.SSLContext, bytes]:
    """Return a server's side with a key and a certificate of its own making, and that."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    day = timedelta(days=1)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(alternative, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:  # the one way in which ssl takes them
        Path(file.name).write_bytes(private + certificate.public_bytes(pem))
        context.load_cert_chain(file.name)
    return context, certificate.public_bytes(pem)
