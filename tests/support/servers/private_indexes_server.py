"""The server behind the names of private indexes: a pypiserver, a devpi, and a host of files.

Every name leads to the same pypiserver, for its one account, but `devpi.example`, which leads to a
devpi-server, and `cdn.example`, which has the files for everyone. It writes down every request:
whether the stored credential came with it, another one, a capability of a run, or none; and never
the credential itself. `private_indexes.py` runs it.

At https://NAME/elsewhere/ is an index whose files are at `cdn.example`, and at https://NAME/git/ are
repositories as plain files; both for the account alone.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import sys
from contextlib import closing
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import NamedTuple

from support.servers.index_server import make_index
from support.servers.recording_proxy import HOP_BY_HOP, UnixConnection, basic

INDEX, DEVPI, CDN = "index.example", "devpi.example", "cdn.example"
SINGLE, INTERNATIONAL = "packages", "xn--bcher-kva.example"
NAMES = [INDEX, DEVPI, CDN, SINGLE, INTERNATIONAL, "127.0.0.1", "::1"]

STORED, CAPABILITY, OTHER, NONE = "stored", "capability", "other", "none"
"""What came with a request."""


class Seen(NamedTuple):
    """A request: `shown` is one of the four above, `leaks` that a capability is in any header."""

    host: str
    method: str
    path: str
    shown: str
    leaks: bool
    status: int


class _Handler(BaseHTTPRequestHandler):
    folder: Path
    account: tuple[str, str]
    port: int
    lock = Lock()

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.close_connection = True
        named = self.headers.get("Host") or ""
        host = named[1:].partition("]")[0] if named[:1] == "[" else named.partition(":")[0]
        shown = self._shown()
        kind, _, rest = self.path.partition("?")[0].strip("/").partition("/")
        if host == CDN:
            status, headers, content = self._file(self.folder / "packages" / rest)
        elif kind in {"git", "elsewhere"} and shown != STORED:
            status, headers, content = 401, [("WWW-Authenticate", 'Basic realm="index"')], b""
        elif kind == "git":
            status, headers, content = self._file(self.folder / "git" / rest)
        elif kind == "elsewhere":
            status, headers, content = self._page()
        else:
            status, headers, content = self._ask(host, body)
        everything = "".join(self.headers.values())
        leaks = "tokenward-run-" in everything or "Proxy-Authorization" in self.headers
        seen = Seen(host, self.command, self.path, shown, leaks, status)
        with self.lock, (self.folder / "requests").open("a") as log:
            log.write(json.dumps(seen._asdict()) + "\n")
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def _shown(self) -> str:
        account = basic(self.headers)
        if account is None:
            return OTHER if "Authorization" in self.headers else NONE
        if account == self.account:
            return STORED
        return CAPABILITY if account[1].startswith("tokenward-run-") else OTHER

    def _page(self) -> tuple[int, list[tuple[str, str]], bytes]:
        links = [
            f'<a href="https://{CDN}/files/{path.name}">{path.name}</a>'
            for path in (self.folder / "packages").iterdir()
        ]
        return 200, [("Content-Type", "text/html")], "\n".join(links).encode()

    @staticmethod
    def _file(path: Path) -> tuple[int, list[tuple[str, str]], bytes]:
        try:
            return 200, [("Content-Type", "application/octet-stream")], path.read_bytes()
        except OSError:
            return 404, [], b""

    def _ask(self, host: str, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        if host == DEVPI:
            connection: http.client.HTTPConnection = UnixConnection(
                Path((self.folder / "devpi").read_text())
            )
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP}
        headers["X-Outside-Url"] = f"https://{DEVPI}"
        with closing(connection):
            connection.request(self.command, self.path, body, headers)
            with connection.getresponse() as answer:
                mute = HOP_BY_HOP | {"content-length"}
                kept = [(n, v) for n, v in answer.getheaders() if n.lower() not in mute]
                return answer.status, kept, answer.read()


class _Six(ThreadingHTTPServer):
    address_family = socket.AF_INET6


def serve(folder: Path) -> None:
    """Serve until killed; a line on stdout says that the ports are open."""
    user, secret = json.loads((folder / "account").read_text())
    index = make_index(str(folder / "packages"), str(folder / "htpasswd"))
    _Handler.folder, _Handler.account, _Handler.port = folder, (user, secret), index.server_port
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    secure = [ThreadingHTTPServer(("127.0.0.1", 443), _Handler), _Six(("::1", 443), _Handler)]
    for server in secure:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    plain = ThreadingHTTPServer(("127.0.0.1", 80), _Handler)
    for server in (index, plain, *secure[1:]):
        Thread(target=partial(server.serve_forever, 0.5), daemon=True).start()
    sys.stdout.write("open\n")
    sys.stdout.flush()
    secure[0].serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
