"""A TLS index for the relay's benchmarks, in a process of its own: small pages, large files, uploads.

The certificate is on the command line; the port is the one line on stdout. `/big/N` has N bytes.
"""

from __future__ import annotations

import socketserver
import ssl
import sys
from http.server import BaseHTTPRequestHandler

_CHUNK = bytes(256 * 1024)


class Index(BaseHTTPRequestHandler):
    """Answers any path, without looking at credentials."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Send a page, or as many bytes as the path says."""
        size = int(self.path.rpartition("/")[2]) if self.path.startswith("/big/") else 1000
        self.send_response_only(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        while size:
            self.wfile.write(_CHUNK[: min(size, len(_CHUNK))])
            size -= min(size, len(_CHUNK))

    def do_POST(self) -> None:
        """Read an upload."""
        left = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(left, len(_CHUNK))))
        self.send_response_only(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's name)
        """Print nothing."""


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, certificate: str) -> None:
        super().__init__(("127.0.0.1", 0), Index)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)

    def finish_request(self, request: object, client_address: object) -> None:
        """Speak TLS in the thread of the connection, not in the one that accepts."""
        encrypted = self._context.wrap_socket(request, server_side=True)  # type: ignore[arg-type]  # a socket
        super().finish_request(encrypted, client_address)


if __name__ == "__main__":
    with _Server(sys.argv[1]) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()
