"""The server behind the real names, which checks tokens as PyPI does, with root keys of its own.

One private index is there too, for one account.

It writes down every request, on both the port of https and that of http, and never a secret. Who
asks for a page is asked for a credential; who asks about trusted publishing is told at once that
there is none. `real_names.py` runs it.
"""

from __future__ import annotations

import json
import re
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import NamedTuple

from macaroons import caveats_of, token_of
from recording_proxy import basic

KEYS = {"upload.pypi.org": b"the root key of one", "test.pypi.org": b"the root key of the other"}
LOCATIONS = {"upload.pypi.org": "pypi.org", "test.pypi.org": "test.pypi.org"}
PRIVATE = "index.example"
ACCOUNT = ("alice", "correct horse battery staple")
NAMES = [*KEYS, "pypi.org", PRIVATE]


class Seen(NamedTuple):
    """A request: whose, None if nobody's, and whether a secret came with it; the uploaded `file`."""

    url: str
    method: str
    user: str | None
    secret: bool
    status: int
    file: str | None


def token(host: str) -> str:
    """Return a token that the server takes for `host`."""
    return token_of(LOCATIONS[host], f"an identifier of {host}", key=KEYS[host])


class _Handler(BaseHTTPRequestHandler):
    scheme = "http"
    log: Path
    lock = Lock()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        named = re.search(rb'filename="([^"]+)"', body)
        taken = (self.scheme, self.path) == ("https", "/legacy/") and self._is_genuine()
        self._answer(200 if taken else 403, named[1].decode() if named else None)

    def do_GET(self) -> None:
        """Ask for a credential, except where a tool wants to know about trusted publishing."""
        self._answer(404 if self.path.startswith("/_/") else 401)

    def _is_genuine(self) -> bool:
        """Tell whether the credential is one that this host gave out."""
        host = (self.headers.get("Host") or "").partition(":")[0]
        account = basic(self.headers)
        if account is None or host == PRIVATE:
            return account == ACCOUNT
        user, secret = account
        return user == "__token__" and caveats_of(secret, KEYS.get(host, b"")) is not None

    def _answer(self, status: int, file: str | None = None) -> None:
        user, secret = basic(self.headers) or (None, self.headers.get("Authorization"))
        url = f"{self.scheme}://{self.headers.get('Host')}{self.path}"
        seen = Seen(url, self.command, user, bool(secret), status, file)
        with self.lock, self.log.open("a") as log:
            log.write(json.dumps(seen._asdict()) + "\n")
        self.send_response_only(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="here"')
        self.send_header("Content-Length", "0")
        self.end_headers()


class _Secure(_Handler):
    scheme = "https"


def serve(folder: Path) -> None:
    """Serve both ports until killed; a line on stdout says that they are open."""
    _Handler.log = folder / "requests"
    plain = ThreadingHTTPServer(("127.0.0.1", 80), _Handler)
    secure = ThreadingHTTPServer(("127.0.0.1", 443), _Secure)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    Thread(target=plain.serve_forever, daemon=True).start()
    sys.stdout.write("open\n")
    sys.stdout.flush()
    secure.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
