"""Vault's HTTP API as far as it reads secrets: KV of version 2 and 1, and an engine with leases.

Paths, headers and objects are those of its documents (api-docs, "KV secrets engine - version 2"):
GET /v1/MOUNT/data/PATH with X-Vault-Token; 403 with `errors` for a wrong token, 404 for no secret.
"""

from __future__ import annotations

import json
from typing import Any

from support.servers.http_server import Loopback, Request, Response

TOKEN = "hvs.the-token-of-a-developer"


class VaultServer(Loopback):
    """A server on loopback; `secrets` are the fields of each path of the mount `secret`."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.secrets: dict[str, dict[str, str]] = {}
        self.version = 1
        self.tokens = {TOKEN}

    def _answer(self, request: Request) -> Response:
        if request.headers.get("x-vault-token") not in self.tokens:
            return _json(403, {"errors": ["permission denied"]})
        _, _, mount, *rest = request.path.split("/")
        if request.method == "GET" and mount == "secret" and rest[0] == "data":
            fields = self.secrets.get("/".join(rest[1:]))
            if fields is not None:
                return _json(200, _answer(0, {"data": fields, "metadata": self._metadata()}))
        if request.method == "GET" and mount in {"kv", "artifactory"}:
            fields = self.secrets.get("/".join(rest))
            if fields is not None:
                return _json(200, _answer(2764800 if mount == "kv" else 600, fields))
        return _json(404, {"errors": []})

    def _metadata(self) -> dict[str, Any]:
        return {
            "created_time": "2026-11-13T21:58:32.128442898Z",
            "custom_metadata": None,
            "deletion_time": "",
            "destroyed": False,
            "version": self.version,
        }


def _answer(lease: int, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "request_id": "5d2c1a9e-0000-4000-8000-000000000000",
        "lease_id": "",
        "renewable": False,
        "lease_duration": lease,
        "data": data,
        "wrap_info": None,
        "warnings": None,
        "auth": None,
    }


def _json(status: int, said: dict[str, Any]) -> Response:
    return Response(status, json.dumps(said).encode())
