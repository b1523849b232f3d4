"""Revoke a credential at its index, by the documented call for its holder.

| index | call | done |
| GitLab 15.0 | DELETE /api/v4/personal_access_tokens/self, PRIVATE-TOKEN | 204 |
| JFrog 7.53.1 | DELETE /access/api/v1/tokens/me, Bearer | 200; 204 if it was revoked before |
| Anaconda | DELETE /authentications, token | 201 |
| PyPI, trusted publishing | POST /_/oidc/burn-token | 202, whatever the outcome |

PyPI and TestPyPI revoke a user's token only on a page for that user. An attenuated token is never
revoked: the index would revoke the token that it was made of, and with it every other copy.

Pure: `web` sends the requests.
"""

from __future__ import annotations

import json

from tokenward_protocol.index_endpoint import WAREHOUSE, host
from tokenward_protocol.index_reply import WebError
from tokenward_protocol.index_tokens import token_of_text
from tokenward_protocol.urls import ANACONDA, GITLAB, JFROG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward_protocol.index_endpoint import IndexEndpoint
    from tokenward_protocol.index_reply import IndexReply, IndexWeb
    from tokenward_protocol.index_tokens import IndexToken


_NOT_PERSONAL = {
    "gldt-": "A deploy token of GitLab cannot revoke itself.",
    "glcbt-": "A job token of GitLab expires with its job.",
}
_JFROG_TOKENS = ("eyJ", "cmVmdGtu")  # a JWT, and "reftkn" in base64
_MINTED = 3
"""The restrictions of a freshly minted token of trusted publishing: publisher, projects, expiry."""


class RevocationUnsupported(Exception):  # noqa: N818 - an answer to a question
    """The index revokes this for no holder; the text is a sentence with the reason."""


def revoke(web: IndexWeb, endpoint: IndexEndpoint, secret: str) -> str:
    """Revoke a credential and return a sentence about it.

    Raises RevocationUnsupported, and WebError if the index could not be asked or did not do it.
    """
    if endpoint.kind == WAREHOUSE:
        return _revoke_published(web, endpoint, secret)
    if endpoint.kind == GITLAB:
        return _revoke_gitlab(web, endpoint, secret)
    if endpoint.kind == JFROG:
        return _revoke_jfrog(web, endpoint, secret)
    if endpoint.kind == ANACONDA:
        headers = {"Authorization": f"token {secret}"}
        return _report(
            web.ask("DELETE", f"{endpoint.base}/authentications", headers), {200, 201, 204}
        )
    raise RevocationUnsupported(
        "It cannot be revoked from here: no call of its index is known for that."
    )


def burn(web: IndexWeb, endpoint: IndexEndpoint, token: str) -> str:
    """Revoke a token of trusted publishing, and return a sentence. Raises WebError."""
    reply = web.ask(
        "POST",
        f"{endpoint.base}/_/oidc/burn-token",
        {"Content-Type": "application/json"},
        json.dumps({"token": token}).encode(),
    )
    if reply.status != 202:
        raise reply.unexpected_error()
    return f"{reply.host} was told to revoke it."


def _revoke_published(web: IndexWeb, endpoint: IndexEndpoint, secret: str) -> str:
    """Revoke a stored token of trusted publishing; PyPI revokes no others."""
    token = _read_token(secret)
    if token is None or token.scope.publisher is None:
        raise RevocationUnsupported(
            f"{host(endpoint.base)} lets only its user revoke it, on a page."
        )
    if token.scope.caveats != _MINTED:
        raise RevocationUnsupported(
            "It is an attenuated copy, and revoking it would revoke its original, too."
        )
    return burn(web, endpoint, secret)


def _revoke_gitlab(web: IndexWeb, endpoint: IndexEndpoint, secret: str) -> str:
    for prefix, why in _NOT_PERSONAL.items():
        if secret.startswith(prefix):
            raise RevocationUnsupported(why)
    headers = {"PRIVATE-TOKEN": secret}
    return _report(
        web.ask("DELETE", f"{endpoint.base}/api/v4/personal_access_tokens/self", headers), {204}
    )


def _revoke_jfrog(web: IndexWeb, endpoint: IndexEndpoint, secret: str) -> str:
    if not secret.startswith(_JFROG_TOKENS):
        raise RevocationUnsupported("Only access tokens of JFrog can revoke themselves.")
    headers = {"Authorization": f"Bearer {secret}"}
    return _report(
        web.ask("DELETE", f"{endpoint.base}/access/api/v1/tokens/me", headers), {200, 204}
    )


def _report(reply: IndexReply, good: set[int]) -> str:
    if reply.status in {401, 403}:
        raise WebError(f"{reply.host} does not accept it, or not for this (status {reply.status}).")
    if reply.status not in good:
        raise reply.unexpected_error()
    return f"It was revoked at {reply.host}."


def _read_token(secret: str) -> IndexToken | None:
    try:
        return token_of_text(secret)
    except ValueError:
        return None
