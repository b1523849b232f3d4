"""Trusted publishing: a token for minutes, in exchange for the CI system's proof of identity.

    GET  /_/oidc/audience                        the audience of the identity token
    POST /_/oidc/mint-token  {"token": ...}      the identity token for a token of the index

The CI system's identity token comes by the package `id`. Only PyPI and TestPyPI choose its audience:
another index could choose PyPI's, and then hold a token that PyPI accepts (oidc.py).

Only the job can do this: the agent has neither a network connection nor the CI system's variables.
"""

from __future__ import annotations

import base64
import json
from typing import NamedTuple

from tokenward.errors import CommandError
from tokenward.ui.formatting import join_words
from tokenward_protocol.index_reply import WebError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from tokenward.indexes.web import Web
    from tokenward_protocol.index_endpoint import IndexEndpoint
    from tokenward_protocol.index_reply import IndexReply

USUAL_SECONDS: Final = 900
"""The lifetime of a token in seconds if the index does not give one."""

_MINTS: Final = frozenset({200, 403, 422})
"""Statuses that answer a request to mint: done, turned off, refused."""

_TELLING: Final = ("sub", "repository", "workflow_ref", "project_path", "environment")
"""The claims that a publisher is registered by."""

_HINTS: Final = {
    "invalid-publisher": "register the identity token's publisher at {page}; `-v` shows it",
    "invalid-pending-publisher": "register the identity token's publisher at {page}; `-v` shows it",
    "invalid-reuse-token": "an identity token mints once, and a GitLab job has one: log in once a job",
    "not-enabled": "use an API token: `auth login --token -`",
}
_PAGES: Final = {
    "upload.pypi.org": "https://pypi.org/manage/account/publishing/",
    "test.pypi.org": "https://test.pypi.org/manage/account/publishing/",
}


class MintedToken(NamedTuple):
    """A token, and the seconds until it expires."""

    token: str
    seconds: int


def audience(web: Web, endpoint: IndexEndpoint) -> str:
    """Ask the index for the audience of an identity token. Raises WebError, CommandError."""
    reply = web.ask("GET", f"{endpoint.base}/_/oidc/audience")
    if reply.status == 403:
        raise CommandError(
            f"Trusted publishing is turned off at {reply.host} for now.", _HINTS["not-enabled"]
        )
    if reply.status == 404:
        raise CommandError(f"{reply.host} has no trusted publishing.", _HINTS["not-enabled"])
    if reply.status != 200:
        raise reply.unexpected_error()
    named = reply.fields().get("audience")
    if not isinstance(named, str) or not named:
        raise WebError(f"{reply.host} does not give the audience of an identity token.")
    return named


def identity(named: str) -> str:
    """Return the CI system's identity token for an audience. Raises CommandError without one."""
    try:
        import id as ambient
    except ImportError:
        raise CommandError(
            "`--trusted-publishing` needs the package `id`, which is not installed.",
            "install `tokenward[trusted-publishing]`",
        ) from None
    try:
        token = ambient.detect_credential(named)
    except ambient.GitHubOidcPermissionCredentialError:
        raise CommandError(
            "GitHub gives this job no identity token.",
            "the job needs `permissions:` with `id-token: write`",
        ) from None
    except ambient.AmbientCredentialError as error:
        why = str(error).partition(" (")[0].rstrip(".")  # the rest quotes a server's answer
        raise CommandError(f"The CI system gives no identity token: {why}.") from None
    if token is None:
        raise CommandError(
            "No identity token was found: trusted publishing needs a CI system that makes them.",
            "elsewhere log in with an API token: `auth login --token -`",
        )
    return token


def mint(web: Web, endpoint: IndexEndpoint, identity_token: str) -> MintedToken:
    """Exchange an identity token for a token of the index. Raises WebError, CommandError."""
    reply = web.ask(
        "POST",
        f"{endpoint.base}/_/oidc/mint-token",
        {"Content-Type": "application/json"},
        json.dumps({"token": identity_token}).encode(),
    )
    if reply.status not in _MINTS:
        raise reply.unexpected_error()
    fields = reply.fields()
    if reply.status != 200 or fields.get("success") is not True:
        raise _refused_error(reply.host, fields)
    seconds, end = USUAL_SECONDS, fields.get("expires")
    if type(end) is int and reply.moment is not None:
        seconds = int(end - reply.moment)  # both are by the index's clock
    return minted(reply, fields.get("token"), seconds)


def minted(reply: IndexReply, token: object, seconds: int) -> MintedToken:
    """Return what a reply mints. Raises WebError without a token, or if that has expired."""
    if not isinstance(token, str) or not token:
        raise WebError(f"{reply.host} reports a minted token, but sends none.")
    if seconds < 1:
        raise WebError(f"{reply.host} minted a token that has expired already.")
    return MintedToken(token, seconds)


def describe_claims(identity_token: str) -> str:
    """Return the claims of an identity token that a publisher is registered by. No secret."""
    try:
        payload = identity_token.split(".")[1]
        said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return join_words([f"{name} {said[name]}" for name in _TELLING if name in said])
    except (ValueError, LookupError, TypeError):
        return ""


def _refused_error(host: str, fields: dict[str, Any]) -> CommandError:
    """Return the error for a refusal, in the words of the index."""
    errors = fields.get("errors")
    found = [e for e in errors if isinstance(e, dict)] if isinstance(errors, list) else []
    said = [str(error["description"]).rstrip(".") for error in found if error.get("description")]
    codes = [str(error.get("code", "")) for error in found]
    why = "; ".join(said) or "it does not say why"
    hint = next((_HINTS[code] for code in codes if code in _HINTS), "")
    return CommandError(
        f"{host} mints no token: {why}.", hint.format(page=_PAGES.get(host, "the index"))
    )
