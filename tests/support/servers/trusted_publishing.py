"""Trusted publishing as PyPI has it: who may mint, what is said to those who may not, what is burnt.

The paths, objects and codes are those of warehouse's `oidc` views. An identity token is signed with
a secret that is shared here, where the real ones have a key of the CI system's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

from support.macaroons import raw_of, token_of

KEY = b"what the CI system and the index share here"
PUBLISHER = "owner/project"
SECONDS = {PUBLISHER: 900, "owner/hasty": 200}
"""How long the tokens of each publisher live."""


def identity_token(audience: str, job: str, repository: str = PUBLISHER, ends: int = 300) -> str:
    """Return what a CI system gives a job: it is for `audience`, and may be used once."""
    payload = {
        "aud": audience,
        "jti": job,
        "exp": int(time.time()) + ends,
        "sub": f"repo:{repository}:ref:refs/heads/main",
        "repository": repository,
    }
    signed = f"{_text(b'{}')}.{_text(json.dumps(payload).encode())}"
    return f"{signed}.{_signature(signed)}"


class TrustedIndex:
    """The trusted publishing of `domain`, whose tokens are made with a root key."""

    def __init__(self, domain: str, audience: str, root_key: bytes) -> None:
        self._domain = domain
        self._audience = audience
        self._key = root_key
        self._used: set[str] = set()
        self._burnt: set[str] = set()

    def is_burnt(self, token: str) -> bool:
        """Tell whether a token, or the one that it is a copy of, was burnt."""
        return any(_id(job) in raw_of(token) for job in self._burnt)

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any] | None]:
        """Return status and JSON for a request below `/_/oidc/`."""
        if (method, path) == ("GET", "/_/oidc/audience"):
            return 200, {"audience": self._audience}
        try:
            given = json.loads(body)["token"]
        except (ValueError, LookupError, TypeError):
            return _refused("invalid-payload", "Missing or malformed token")
        if (method, path) == ("POST", "/_/oidc/mint-token"):
            return self._mint(given)
        if (method, path) == ("POST", "/_/oidc/burn-token"):
            self._burnt |= {job for job in self._used if _id(job) in raw_of(given)}
            return 202, None
        return 404, None

    def _mint(self, identity: str) -> tuple[int, dict[str, Any] | None]:
        signed, _, signature = identity.rpartition(".")
        if not hmac.compare_digest(signature, _signature(signed)):
            return _refused("invalid-token", "malformed or invalid token")
        payload = signed.partition(".")[2]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        if claims["aud"] != self._audience or claims["exp"] < time.time():
            return _refused("invalid-token", "malformed or invalid token")
        if claims["repository"] not in SECONDS:
            return _refused(
                "invalid-publisher", "valid token, but no corresponding publisher was found"
            )
        if claims["jti"] in self._used:
            return _refused("invalid-reuse-token", "invalid token: already used")
        self._used.add(claims["jti"])
        now = int(time.time())
        end = now + SECONDS[claims["repository"]]
        said = ('[4,"a publisher",null]', '[2,["a project"]]', f"[0,{end},{now}]")
        token = token_of(self._domain, _id(claims["jti"]).decode(), *said, key=self._key)
        return 200, {"success": True, "token": token, "expires": end}


def _id(job: str) -> bytes:
    """Return the identifier of what a job mints: all copies of a token have it."""
    return f"<minted for {job}>".encode()


def _refused(code: str, description: str) -> tuple[int, dict[str, Any]]:
    errors = [{"code": code, "description": description}]
    return 422, {"message": "Token request failed", "errors": errors}


def _signature(signed: str) -> str:
    return _text(hmac.new(KEY, signed.encode(), hashlib.sha256).digest())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
