"""Revoking a credential at its index, by the index's documented call for the holder.

| index | call | done |
| GitLab 15.0 | DELETE /api/v4/personal_access_tokens/self, PRIVATE-TOKEN | 204 |
| JFrog 7.53.1 | DELETE /access/api/v1/tokens/me, Bearer | 200; 204 if it was revoked before |
| Anaconda | DELETE /authentications, token | 201 |
| PyPI, trusted publishing | POST /_/oidc/burn-token | 202, whatever the outcome |

PyPI and TestPyPI revoke a user's token only on a page for that user. An attenuated token is never
revoked: the index would revoke the token that it was made of, and with it every other copy.
"""

from __future__ import annotations

import json

from tokenward.credentials.narrowing import seen
from tokenward.indexes.place import WAREHOUSE, host
from tokenward.indexes.web import WebError
from tokenward.settings.index_definition import ANACONDA, GITLAB, JFROG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward.indexes.place import Place
    from tokenward.indexes.web import Reply, Web

_NOT_PERSONAL = {
    "gldt-": "A deploy token of GitLab cannot revoke itself.",
    "glcbt-": "A job token of GitLab expires with its job.",
}
_JFROG_TOKENS = ("eyJ", "cmVmdGtu")  # a JWT, and "reftkn" in base64
_MINTED = 3
"""The restrictions of a freshly minted token of trusted publishing: publisher, projects, expiry."""


class NoWay(Exception):  # noqa: N818 - an answer to a question
    """The index revokes this for no holder; the text is a sentence with the reason."""


def revoke(web: Web, place: Place, secret: str) -> str:
    """Revoke a credential and return a sentence about it.

    Raises NoWay, and WebError if the index could not be asked or did not do it.
    """
    if place.kind == WAREHOUSE:
        return _trusted(web, place, secret)
    if place.kind == GITLAB:
        return _gitlab(web, place, secret)
    if place.kind == JFROG:
        return _jfrog(web, place, secret)
    if place.kind == ANACONDA:
        headers = {"Authorization": f"token {secret}"}
        return _done(web.ask("DELETE", f"{place.base}/authentications", headers), {200, 201, 204})
    raise NoWay("It cannot be revoked from here: no call of its index is known for that.")


def burn(web: Web, place: Place, token: str) -> str:
    """Revoke a token of trusted publishing, and return a sentence. Raises WebError."""
    reply = web.ask(
        "POST",
        f"{place.base}/_/oidc/burn-token",
        {"Content-Type": "application/json"},
        json.dumps({"token": token}).encode(),
    )
    if reply.status != 202:
        raise reply.unexpected()
    return f"{reply.host} was told to revoke it."


def _trusted(web: Web, place: Place, secret: str) -> str:
    """Revoke a stored token of trusted publishing; PyPI revokes no others."""
    token = seen(secret.encode())
    if token is None or token.restrictions.publisher is None:
        raise NoWay(f"{host(place.base)} lets only its user revoke it, on a page.")
    if token.restrictions.caveats != _MINTED:
        raise NoWay("It is an attenuated copy, and revoking it would revoke its original, too.")
    return burn(web, place, secret)


def _gitlab(web: Web, place: Place, secret: str) -> str:
    for prefix, why in _NOT_PERSONAL.items():
        if secret.startswith(prefix):
            raise NoWay(why)
    headers = {"PRIVATE-TOKEN": secret}
    return _done(
        web.ask("DELETE", f"{place.base}/api/v4/personal_access_tokens/self", headers), {204}
    )


def _jfrog(web: Web, place: Place, secret: str) -> str:
    if not secret.startswith(_JFROG_TOKENS):
        raise NoWay("Only access tokens of JFrog can revoke themselves.")
    headers = {"Authorization": f"Bearer {secret}"}
    return _done(web.ask("DELETE", f"{place.base}/access/api/v1/tokens/me", headers), {200, 204})


def _done(reply: Reply, good: set[int]) -> str:
    if reply.status in {401, 403}:
        raise WebError(f"{reply.host} does not accept it, or not for this (status {reply.status}).")
    if reply.status not in good:
        raise reply.unexpected()
    return f"It was revoked at {reply.host}."
