"""A git server on loopback: git's own `http-backend` behind a password."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from support.servers.http_server import Loopback, Request, Response, basic

if TYPE_CHECKING:
    from pathlib import Path


def git_server(repositories: Path, username: str, password: str, *, tls: bool = False) -> Loopback:
    """Return a server of what lies below `repositories`, for whoever knows the password."""

    def answer(request: Request) -> Response:
        if request.authorization != basic(username, password):
            return Response(401, b"", {"WWW-Authenticate": 'Basic realm="git"'})
        return _backend(repositories, request)

    return Loopback(answer, tls=tls)


def _backend(repositories: Path, request: Request) -> Response:
    """Run the request as CGI (RFC 3875)."""
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(repositories),
        "GIT_PROJECT_ROOT": str(repositories),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
        "REQUEST_METHOD": request.method,
        "PATH_INFO": request.path,
        "QUERY_STRING": request.query,
        "CONTENT_TYPE": request.headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(request.body)),
        "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
        "REMOTE_USER": "somebody",
    }
    done = subprocess.run(
        ["git", "http-backend"], input=request.body, env=variables, capture_output=True, check=True
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    return Response(int(headers.pop("Status", "200").split()[0]), body, headers)
