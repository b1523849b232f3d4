"""Tokens of other indexes for a CI job, in exchange for its identity token: one request each.

| kind | request | answer |
| --- | --- | --- |
| `warehouse` | GET /_/oidc/audience, POST /_/oidc/mint-token, as PyPI | `token`, `expires` |
| `jfrog` | POST BASE/access/api/v1/oidc/token, RFC 8693 with `provider_name` | `access_token`, `expires_in` |
| `cloudsmith` | POST https://api.cloudsmith.io/openid/ORGANIZATION/, `oidc_token`, `service_slug` | `token`, a JWT |

Only `oidc` in the user's own config.toml has an index asked. The audience of the identity token is
the one that the user wrote there, never one that the index names: an index that could choose it would
choose PyPI's, and then hold a token that PyPI accepts.
"""

from __future__ import annotations

import json

from tokenward.errors import CommandError
from tokenward.indexes import trusted_publishing
from tokenward.indexes.place import endpoint_of
from tokenward.indexes.trusted_publishing import USUAL_SECONDS, MintedToken
from tokenward.settings.service_names import CLOUDSMITH, Oidc
from tokenward.ui.secret_input import TOKEN_USER
from tokenward_protocol import index_endpoint
from tokenward_protocol.index_endpoint import IndexEndpoint, origin
from tokenward_protocol.index_reply import IndexReply, WebError
from tokenward_protocol.index_revocation import RevocationUnsupported, revoke
from tokenward_protocol.index_revocation import burn as burn_minted
from tokenward_protocol.light import Record
from tokenward_protocol.token_ends import jwt_claims, jwt_end
from tokenward_protocol.urls import (
    FIXED,
    JFROG,
    key_of,
    strip_index_suffix,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tokenward.indexes.web import Web
    from tokenward.settings.service_names import Definition

CLOUDSMITH_API = "https://api.cloudsmith.io/"


class Issuer(Record):
    """What mints tokens for a service: its `endpoint` and the account that they are for.

    `oidc` is what config.toml says, None for pypi and testpypi.
    """

    endpoint: IndexEndpoint
    username: str = TOKEN_USER
    oidc: Oidc | None = None


def issuer_of(key: str, definitions: Sequence[Definition]) -> Issuer | None:
    """Return what mints tokens for a service by its key, None for all others.

    `definitions` are those of config.toml. Raises CommandError for an index without https.
    """
    if key in FIXED.values():
        return Issuer(endpoint_of(key))
    for found in definitions:
        if found.oidc is None or key not in _keys(found):
            continue
        if not key.startswith("https://"):
            raise CommandError(
                f"{key} gets no identity token, since it does not use https.",
                f"`services.{found.name}.oidc` in {found.file} is for https alone",
            )
        if found.oidc.kind == JFROG:
            return Issuer(index_endpoint.endpoint_of(key, JFROG), found.username or "", found.oidc)
        if found.oidc.kind == CLOUDSMITH:
            base = (found.oidc.api or CLOUDSMITH_API).rstrip("/")
            return Issuer(IndexEndpoint(CLOUDSMITH, base), found.username or "token", found.oidc)
        return Issuer(IndexEndpoint("pypi", origin(key)), found.username or TOKEN_USER, found.oidc)
    return None


def audience_of(web: Web, issuer: Issuer) -> str:
    """Return the audience of the identity token. Raises WebError, CommandError."""
    if issuer.oidc is None:
        return trusted_publishing.audience(web, issuer.endpoint)
    ours = issuer.oidc.audience
    if issuer.endpoint.kind == "pypi":
        theirs = trusted_publishing.audience(web, issuer.endpoint)
        if theirs != ours:
            raise CommandError(
                "The index wants an identity token for another audience than config.toml names.",
                "compare `audience` with what the index documents",
            )
    return ours


def mint(web: Web, issuer: Issuer, identity: str) -> MintedToken:
    """Exchange an identity token for a token of the index. Raises WebError, CommandError."""
    if issuer.endpoint.kind == JFROG:
        return _mint_jfrog(web, issuer, identity)
    if issuer.endpoint.kind == CLOUDSMITH:
        return _mint_cloudsmith(web, issuer, identity)
    return trusted_publishing.mint(web, issuer.endpoint, identity)


def burn(web: Web, issuer: Issuer, token: str) -> str:
    """Revoke a token that was minted here, and return a sentence. Raises WebError."""
    if issuer.endpoint.kind == CLOUDSMITH:
        raise WebError("Cloudsmith revokes no such token.")
    if issuer.endpoint.kind == JFROG:
        try:
            return revoke(web, issuer.endpoint, token)
        except RevocationUnsupported as why:
            raise WebError(str(why)) from None
    return burn_minted(web, issuer.endpoint, token)


def _mint_jfrog(web: Web, issuer: Issuer, identity: str) -> MintedToken:
    assert issuer.oidc is not None  # noqa: S101 - for the type checkers
    asked = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
        "subject_token": identity,
        "provider_name": issuer.oidc.provider,
    }
    reply = _post(web, f"{issuer.endpoint.base}/access/api/v1/oidc/token", asked)
    fields = reply.fields()
    seconds = fields.get("expires_in")
    return trusted_publishing.minted(
        reply, fields.get("access_token"), seconds if type(seconds) is int else USUAL_SECONDS
    )


def _mint_cloudsmith(web: Web, issuer: Issuer, identity: str) -> MintedToken:
    assert issuer.oidc is not None  # noqa: S101 - for the type checkers
    asked = {"oidc_token": identity, "service_slug": issuer.oidc.account}
    reply = _post(web, f"{issuer.endpoint.base}/openid/{issuer.oidc.organization}/", asked)
    token = reply.fields().get("token")
    claims = jwt_claims(memoryview(token.encode())) if isinstance(token, str) else None
    end = None if claims is None else jwt_end(claims)
    seconds = USUAL_SECONDS
    if end is not None and reply.moment is not None:
        seconds = int(end - reply.moment)
    return trusted_publishing.minted(reply, token, seconds)


def _post(web: Web, url: str, asked: dict[str, str]) -> IndexReply:
    """Return the answer to an exchange. Raises WebError, CommandError."""
    reply = web.ask("POST", url, {"Content-Type": "application/json"}, json.dumps(asked).encode())
    if reply.status in {200, 201}:
        return reply
    if reply.status not in {400, 401, 403, 404, 422}:
        raise reply.unexpected_error()
    try:
        why = _why(reply.fields())
    except WebError:
        why = ""
    raise CommandError(
        f"{reply.host} mints no token: {why or f'it answered with the status {reply.status}'}.",
        "compare `oidc` in config.toml with what is set up there; `-v` shows the identity token's claims",
    )


def _why(fields: dict[str, Any]) -> str:
    """Return the reason of a refusal, in the words of the index."""
    errors = fields.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else {}
    said = fields.get("detail") or (first.get("message") if isinstance(first, dict) else "")
    return str(said or "")[:200].rstrip(".")


def _keys(definition: Definition) -> set[str]:
    """Return the keys that an index of config.toml is stored under."""
    keys = [key_of(url) for url in (definition.url, definition.publish_url) if url]
    return {spelled for key in keys if key for spelled in (key, strip_index_suffix(key))}
