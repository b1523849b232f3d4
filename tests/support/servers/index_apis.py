"""The APIs of indexes that revoke and describe tokens, as their documentation has them.

Each is a function of a request for `http_server.Loopback`, and knows its tokens: those that are left
are still valid.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from support.servers.http_server import Response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.servers.http_server import Request

JSON = {"Content-Type": "application/json"}


class GitLab:
    """Personal access tokens by themselves (docs.gitlab.com, personal access tokens API)."""

    INDEX = "api/v4/projects/7/packages/pypi/"

    def __init__(self, *tokens: str, below: str = "") -> None:
        self.tokens = set(tokens)
        self._self = f"{below}/api/v4/personal_access_tokens/self"

    def __call__(self, request: Request) -> Response:
        token = request.headers.get("private-token", "")
        if request.path != self._self:
            return Response(404, b'{"error":"404 Not Found"}', JSON)
        if token not in self.tokens:
            return Response(401, b'{"message":"401 Unauthorized"}', JSON)
        if request.method == "DELETE":
            self.tokens.discard(token)
            return Response(204)
        shown = {"active": True, "scopes": ["api"], "expires_at": "2027-01-31", "name": "mine"}
        return Response(200, json.dumps(shown).encode(), JSON)


class JFrog:
    """Access tokens by themselves (jfrog.com, revoke token by id, `me`)."""

    INDEX = "artifactory/api/pypi/local/"

    def __init__(self, *tokens: str) -> None:
        self.tokens = set(tokens)

    def __call__(self, request: Request) -> Response:
        token = (request.authorization or "").removeprefix("Bearer ")
        if (request.method, request.path) != ("DELETE", "/access/api/v1/tokens/me"):
            return Response(404)
        if token not in self.tokens:
            return Response(401, b'{"errors":[{"code":"UNAUTHORIZED"}]}', JSON)
        self.tokens.discard(token)
        return Response(200)


class Anaconda:
    """Tokens by themselves, as anaconda-client's logout has it."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = set(tokens)

    def __call__(self, request: Request) -> Response:
        token = (request.authorization or "").removeprefix("token ")
        if token not in self.tokens:
            return Response(401)
        if (request.method, request.path) == ("GET", "/api/user"):
            return Response(200, b'{"login":"alice"}', JSON)
        if (request.method, request.path) != ("DELETE", "/api/authentications"):
            return Response(404)
        self.tokens.discard(token)
        return Response(201)


class Pages:
    """An index with nothing but a list of projects, for those whose `Authorization` is known."""

    def __init__(self, known: Iterable[str], *, everybody: bool = False) -> None:
        self._known = set(known)
        self._everybody = everybody

    def __call__(self, request: Request) -> Response:
        if request.path != "/simple/":
            return Response(404)
        if request.authorization in self._known:
            return Response(200)
        if request.authorization is None and self._everybody:
            return Response(200)
        return Response(401, headers={"WWW-Authenticate": 'Basic realm="here"'})
