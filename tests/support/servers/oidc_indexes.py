"""A CI system, and the exchange of its identity tokens as JFrog, Cloudsmith and a warehouse have it.

The requests and answers are those of the vendors' documents:

- GitHub: GET ACTIONS_ID_TOKEN_REQUEST_URL&audience=…, with a bearer; `value` is the token.
- JFrog's Access API: POST /access/api/v1/oidc/token, RFC 8693 with `provider_name`; DELETE
  /access/api/v1/tokens/me revokes the token that is the bearer.
- Cloudsmith: POST /openid/{owner}/ with `oidc_token` and `service_slug`; 201 with `token`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any, Self

from support.servers.http_server import Loopback, Request, Response
from support.servers.trusted_publishing import KEY, TrustedIndex, identity_token

AUDIENCE = {"jfrog": "jfrog-github", "cloudsmith": "cloudsmith-ci", "warehouse": "index.example"}
BEARER = "what GitHub gives a job"


class CISystem:
    """GitHub, as a job sees it: `variables` are those of the job, `asked` the audiences."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._server = Loopback(self._answer)

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *exit_: object) -> None:
        self._server.__exit__(*exit_)

    @property
    def variables(self) -> dict[str, str]:
        return {
            "GITHUB_ACTIONS": "true",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self._server.url}token?api-version=2",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": BEARER,
        }

    def _answer(self, request: Request) -> Response:
        if BEARER not in (request.authorization or ""):
            return Response(401)
        audience = request.query.rpartition("audience=")[2]
        self.asked.append(audience)
        value = identity_token(audience, f"job {len(self.asked)}")
        return Response(200, json.dumps({"value": value}).encode())


class Minting:
    """One index with all three exchanges; `live` are the tokens that it accepts.

    `seconds` is how long they live, and `audience` what the warehouse says that it wants.
    """

    def __init__(self) -> None:
        self.live: set[str] = set()
        self.seconds = 3600
        self.audience = AUDIENCE["warehouse"]
        self._made = 0

    def answer(self, request: Request) -> Response:
        """Answer a request."""
        status, said = self._answer(request)
        return Response(status, b"" if said is None else json.dumps(said).encode())

    def _answer(self, request: Request) -> tuple[int, dict[str, Any] | None]:
        if request.path.startswith("/_/oidc/"):
            index = TrustedIndex("index.example", self.audience, b"the key of the index")
            status, said = index.answer(request.method, request.path, request.body)
            if said is not None and "token" in said:
                self.live.add(said["token"])
            if request.path.endswith("burn-token"):
                self.live.discard(json.loads(request.body)["token"])
            return status, said
        if (request.method, request.path) == ("DELETE", "/access/api/v1/tokens/me"):
            token = (request.authorization or "").removeprefix("Bearer ")
            known = token in self.live
            self.live.discard(token)
            return (200 if known else 401), None
        asked = json.loads(request.body) if request.body else {}
        if (request.method, request.path) == ("POST", "/access/api/v1/oidc/token"):
            return self._jfrog(asked)
        if (request.method, request.path) == ("POST", "/openid/acme/"):
            return self._cloudsmith(asked)
        return 404, None

    def _jfrog(self, asked: dict[str, str]) -> tuple[int, dict[str, Any]]:
        fits = (
            asked.get("grant_type") == "urn:ietf:params:oauth:grant-type:token-exchange"
            and asked.get("subject_token_type") == "urn:ietf:params:oauth:token-type:id_token"
            and asked.get("provider_name") == "github"
        )
        if not fits or not _is_for(asked.get("subject_token", ""), AUDIENCE["jfrog"]):
            error = {"code": "UNAUTHORIZED", "message": "No identity mapping matched the token."}
            return 401, {"errors": [error]}
        token = self._token("jfac@x/users/ci")
        kind = "urn:ietf:params:oauth:token-type:access_token"
        said = {"access_token": token, "issued_token_type": kind, "token_type": "Bearer"}
        return 200, {**said, "scope": "applied-permissions/user", "expires_in": self.seconds}

    def _cloudsmith(self, asked: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if not _is_for(asked.get("oidc_token", ""), AUDIENCE["cloudsmith"]):
            return 401, {"detail": "OIDC token cannot be authenticated."}
        if asked.get("service_slug") != "ci-x1":
            return 422, {"detail": "Invalid service slug."}
        return 201, {"token": self._token("ci-x1")}

    def _token(self, subject: str) -> str:
        self._made += 1
        claims = {"sub": subject, "jti": self._made, "exp": int(time.time()) + self.seconds}
        parts = (b'{"typ":"JWT","alg":"none"}', json.dumps(claims).encode(), b"signed")
        token = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
        self.live.add(token)
        return token


def _is_for(identity: str, audience: str) -> bool:
    """Tell whether an identity token is the CI system's, for an audience."""
    signed, _, signature = identity.rpartition(".")
    mac = hmac.new(KEY, signed.encode(), hashlib.sha256).digest()
    if signature != base64.urlsafe_b64encode(mac).decode().rstrip("="):
        return False
    payload = signed.partition(".")[2]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return bool(claims["aud"] == audience)
