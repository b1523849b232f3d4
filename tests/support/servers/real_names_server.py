"""The server behind the real names, which checks tokens as PyPI does, with root keys of its own.

One private index is there too, for one account.

It writes down every request, on both the port of https and that of http, and never a secret. Who
asks for a page is asked for a credential; who asks about trusted publishing is told at once that
there is none, unless a file `trusted` says so. An upload without a file is an error of the form,
for whoever is known. `real_names.py` runs it.
"""

from __future__ import annotations

import json
import re
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from support.macaroons import caveats_of, token_of
from support.servers.recording_proxy import basic
from support.servers.trusted_publishing import TrustedIndex, identity_token

KEYS = {"upload.pypi.org": b"the root key of one", "test.pypi.org": b"the root key of the other"}
LOCATIONS = {"upload.pypi.org": "pypi.org", "test.pypi.org": "test.pypi.org"}
PRIVATE = "index.example"
ACCOUNT = ("alice", "correct horse battery staple")
CI = "ci.example"
"""Where a job of GitHub's gets its identity tokens, for this bearer and over plain http."""

BEARER = "what the job may ask with"
NAMES = [*KEYS, "pypi.org", "pypi.python.org", PRIVATE, CI]  # twine asks the old name what is there
TRUSTED = {
    host: TrustedIndex(LOCATIONS[host], audience, KEYS[host])
    for host, audience in {"upload.pypi.org": "pypi", "test.pypi.org": "testpypi"}.items()
}


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
    jobs = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self._is_trusted():
            self._answer(*self._trust(body))
            return
        named = re.search(rb'filename="([^"]+)"', body)
        taken = (self.scheme, self.path) == ("https", "/legacy/") and self._is_genuine()
        done = 200 if named else 400
        self._answer(done if taken else 403, file=named[1].decode() if named else None)

    def do_GET(self) -> None:
        """Ask for a credential, except where a tool wants to know about trusted publishing."""
        if self._is_trusted():
            self._answer(*self._trust(b""))
        elif self._host == CI and self._is_job():
            audience = parse_qs(urlsplit(self.path).query)["audience"][0]
            with self.lock:
                type(self).jobs += 1
            self._answer(200, {"value": identity_token(audience, f"job {self.jobs}")})
        else:
            self._answer(404 if self.path.startswith("/_/") else 401)

    def _is_job(self) -> bool:
        scheme, _, bearer = (self.headers.get("Authorization") or "").partition(" ")
        return (scheme.lower(), bearer) == ("bearer", BEARER)

    @property
    def _host(self) -> str:
        return (self.headers.get("Host") or "").partition(":")[0]

    def _is_trusted(self) -> bool:
        """Tell whether a request is about trusted publishing, where there is such a thing."""
        if self.scheme != "https" or not self.path.startswith("/_/oidc/"):
            return False
        return self._host in TRUSTED and self.log.with_name("trusted").exists()

    def _trust(self, body: bytes) -> tuple[int, dict[str, Any] | None]:
        with self.lock:
            return TRUSTED[self._host].answer(self.command, self.path, body)

    def _is_genuine(self) -> bool:
        """Tell whether the credential is one that this host gave out."""
        account = basic(self.headers)
        if account is None or self._host == PRIVATE:
            return account == ACCOUNT
        user, secret = account
        if self._host in TRUSTED and TRUSTED[self._host].is_burnt(secret):
            return False
        return user == "__token__" and caveats_of(secret, KEYS.get(self._host, b"")) is not None

    def _answer(
        self, status: int, fields: dict[str, Any] | None = None, file: str | None = None
    ) -> None:
        user, secret = basic(self.headers) or (None, self.headers.get("Authorization"))
        url = f"{self.scheme}://{self.headers.get('Host')}{self.path}"
        seen = Seen(url, self.command, user, bool(secret), status, file)
        with self.lock, self.log.open("a") as log:
            log.write(json.dumps(seen._asdict()) + "\n")
        self.send_response_only(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="here"')
        body = b"" if fields is None else json.dumps(fields).encode()
        self.send_header("Date", self.date_time_string())
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


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
