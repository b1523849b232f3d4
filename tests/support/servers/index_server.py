"""A real package index on loopback that asks for a password: pypiserver in a process of its own.

`IndexServer` is what the tests and the demo hold. The other half of this file is what that
process runs: the port is the kernel's choice and is told through a pipe once it listens, so
nobody guesses a free port and nobody polls. Started by a context manager and ended by pid.

The accounts are for one run and known to everybody, so the cheapest scheme of an htpasswd file does.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import tempfile
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any, Self
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


class IndexServer:
    """An index whose uploads, downloads and lists all need one of `accounts` (name to password).

    `url` is where uploads go, `simple` where pip looks, and `packages` the folder with what was
    uploaded. `requests()` tells the request lines that the server has answered so far.
    """

    def __init__(self, accounts: dict[str, str]) -> None:
        self.accounts = accounts
        self.url = ""
        self.packages = Path()

    @property
    def simple(self) -> str:
        return f"{self.url}simple/"

    @property
    def pid(self) -> int:
        return self._process.pid

    def requests(self) -> list[str]:
        return self._log.read_text().splitlines()

    def connect(self) -> HTTPConnection:
        """Return a new connection to it, for something that stands before it."""
        address = urlsplit(self.url)
        return HTTPConnection(address.hostname or "", address.port)

    def renew(self) -> str:
        """Take out everything that was uploaded; return the path of the index, which is its root."""
        for path in self.packages.iterdir():
            path.unlink()
        return ""

    def published(self) -> list[str]:
        """Return the names of the files that were uploaded."""
        return [path.name for path in self.packages.iterdir()]

    def holds(self, file: str) -> bool:
        """Tell whether it has the file."""
        return (self.packages / file).exists()

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="index-")
        folder = Path(self._folder.name)
        self.packages = folder / "packages"
        self.packages.mkdir()
        self._log = folder / "requests.log"
        accounts = folder / "htpasswd"
        write_accounts(accounts, self.accounts)
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                # passlib, which pypiserver reads htpasswd files with, imports a deprecated module
                [sys.executable, "-W", "ignore", __file__, self.packages, accounts],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        port = self._process.stdout.readline().strip()
        if not port:
            self._stop()
            raise RuntimeError(f"the index did not start: {self._log.read_text()}")
        self.url = f"http://127.0.0.1:{port}/"
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._folder.cleanup()

    def _stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def write_accounts(file: Path, accounts: dict[str, str]) -> None:
    """Write the file with the accounts of an index."""
    file.write_text("".join(f"{name}:{_sha(secret)}\n" for name, secret in accounts.items()))


def _sha(password: str) -> str:
    """Return `password` as Apache's `{SHA}` scheme writes it in an htpasswd file."""
    return "{SHA}" + base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()


class _Threaded(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # an idle connection must not keep the others waiting


class _OneLine(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's name)
        sys.stderr.write(f"{format % args}\n")


def serve(packages: str, accounts: str) -> None:
    """Serve `packages` until killed; the port is the one line on stdout."""
    with make_index(packages, accounts) as server:
        sys.stdout.write(f"{server.server_port}\n")
        sys.stdout.flush()
        server.serve_forever()


def make_index(packages: str, accounts: str) -> WSGIServer:
    """Return the server of `packages`, at a port of the kernel's choice."""
    import pypiserver  # type: ignore[import-untyped]  # ships no types

    application: Any = pypiserver.app(
        roots=[Path(packages)],
        password_file=accounts,
        authenticate=["download", "list", "update"],
        disable_fallback=True,
    )

    def whole(environ: dict[str, Any], start: Any) -> Any:
        """Read an upload before it is refused: closing a connection unread would lose the answer."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        return application(
            {**environ, "wsgi.input": BytesIO(environ["wsgi.input"].read(length))}, start
        )

    return make_server("127.0.0.1", 0, whole, _Threaded, _OneLine)


if __name__ == "__main__":
    serve(*sys.argv[1:])
