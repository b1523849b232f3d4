"""The APIs of clouds that make short-lived tokens, as their own clients call them.

Each is a function of a request for `http_server.Loopback`. A token names the account that asked and
counts, so that a test sees whose token a tool got and whether it is another one.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import time
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from support.servers.certificates import write_certificates
from support.servers.http_server import Response, basic

if TYPE_CHECKING:
    from pathlib import Path

    from support.servers.http_server import Request

JSON = {"Content-Type": "application/json"}
CODEARTIFACT = "https://team-111122223333.d.codeartifact.eu-central-1.amazonaws.com/pypi/main/"
"""An index of CodeArtifact; its host leads nowhere in a test."""


class CodeArtifact:
    """GetAuthorizationToken (the API reference of AWS CodeArtifact), for these access keys."""

    def __init__(self, *keys: str) -> None:
        self.keys = set(keys)
        self.made = 0

    def __call__(self, request: Request) -> Response:
        signed = re.match(r"AWS4-HMAC-SHA256 Credential=([^/]+)/", request.authorization or "")
        key = signed[1] if signed else ""
        if (request.method, request.path) != ("POST", "/v1/authorization-token"):
            return Response(404, b"{}", JSON)
        if key not in self.keys:
            denied = {"message": "The security token included in the request is expired"}
            kind = {"x-amzn-ErrorType": "ExpiredTokenException"}
            return Response(403, json.dumps(denied).encode(), {**JSON, **kind})
        self.made += 1
        asked = parse_qs(request.query)
        end = int(time.time()) + int(asked.get("duration", ["43200"])[0])
        made = {"authorizationToken": f"codeartifact-{key}-{self.made}", "expiration": end}
        return Response(200, json.dumps(made).encode(), JSON)


class AzureFeed:
    """A feed of Azure Artifacts under its own name, behind a proxy for https: `proxy` is its URL.

    It takes one account, and lets no connection to another host through. `refused` has those hosts.
    """

    HOST = "pkgs.dev.azure.com"
    URL = f"https://{HOST}/org/_packaging/feed/pypi/simple/"

    def __init__(self, folder: Path, username: str, password: str) -> None:
        self.authority = write_certificates(folder, [self.HOST])
        self.refused: list[str] = []
        self._account = basic(username, password).encode()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(folder / "server.pem")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.proxy = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = Thread(target=self._serve)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, suppress(OSError):
                    self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        host = _head(connection).split()[1].decode()
        if host != f"{self.HOST}:443":
            self.refused.append(host)
            connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with self._tls.wrap_socket(connection, server_side=True) as inside:
            status = b"200 OK" if self._account in _head(inside) else b"401 Unauthorized"
            inside.sendall(
                b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )


def _head(connection: socket.socket) -> bytes:
    """Read the head of a request."""
    head = b""
    while b"\r\n\r\n" not in head:
        if not (more := connection.recv(65536)):
            raise ConnectionAbortedError
        head += more
    return head


class GoogleOAuth:
    """The token endpoint for a service account (developers.google.com, OAuth 2.0 for servers)."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, request: Request) -> Response:
        if (request.method, request.path) != ("POST", "/token"):
            return Response(404, b"{}", JSON)
        self.made += 1
        made = {"access_token": f"google-{self.made}", "expires_in": 3600, "token_type": "Bearer"}
        return Response(200, json.dumps(made).encode(), JSON)


def write_service_account(path: Path, server: str) -> None:
    """Write the file of a service account whose tokens come from the server (a URL)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = {
        "type": "service_account",
        "client_email": "builder@corp.example",
        "private_key_id": "1",
        "private_key": pem,
        "token_uri": f"{server}token",
    }
    path.write_text(json.dumps(account))


def configure_aws(home: Path, endpoint: str) -> None:
    """Write the settings of AWS in a home, with two profiles, for an API on loopback."""
    folder = home / ".aws"
    folder.mkdir()
    (folder / "config").write_text(
        f"[default]\nendpoint_url = {endpoint}\nregion = eu-central-1\n"
        f"[profile work]\nendpoint_url = {endpoint}\nregion = eu-central-1\n"
    )
    (folder / "credentials").write_text(
        "[default]\naws_access_key_id = AKIAHOME\naws_secret_access_key = x\n"
        "[work]\naws_access_key_id = AKIAWORK\naws_secret_access_key = x\n"
    )
