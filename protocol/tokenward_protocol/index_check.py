"""Whether an index accepts a credential, by a request that changes nothing there.

| index | request | what the answer proves |
| PyPI, TestPyPI | an upload without a file | the token is known; not its restrictions and expiry |
| GitLab | GET /api/v4/personal_access_tokens/self | it is active, its scopes and its expiry |
| Anaconda | GET /user | its user |
| devpi | GET /+api | its user |
| any other | its list of projects, without and with the credential | reading needs it |

An index that shows its list to everyone proves nothing by showing it. Requests go only to the host
that the credential is for.

Pure: `web` sends the requests.
"""

from __future__ import annotations

import base64
from typing import NamedTuple

from tokenward_protocol.index_endpoint import WAREHOUSE
from tokenward_protocol.urls import ANACONDA, DEVPI, GITLAB

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from tokenward_protocol.index_endpoint import IndexEndpoint
    from tokenward_protocol.index_reply import IndexReply, IndexWeb

ACCEPTED, REFUSED, UNKNOWN = "accepted", "refused", "unknown"

_REFUSES: Final = frozenset({401, 403})
_FORM: Final = b"%3Aaction=file_upload&protocol_version=1"
_UPLOADS: Final = "This does not prove that it may upload."


class Verdict(NamedTuple):
    """The result of a check: its `state`, a sentence, and one on what is not proven, or ""."""

    state: str
    message: str
    unproven: str = ""


def check(web: IndexWeb, endpoint: IndexEndpoint, username: str, secret: str) -> Verdict:
    """Ask the index by `web`. Raises WebError if it cannot be asked or its answer makes no sense."""
    if endpoint.kind == WAREHOUSE:
        return _warehouse(web, endpoint, username, secret)
    if endpoint.kind == GITLAB and secret.startswith("glpat-"):
        url = f"{endpoint.base}/api/v4/personal_access_tokens/self"
        return _verdict_of_api(web.ask("GET", url, {"PRIVATE-TOKEN": secret}), _gitlabs_words)
    if endpoint.kind == ANACONDA:
        headers = {"Authorization": f"token {secret}"}
        return _verdict_of_api(web.ask("GET", f"{endpoint.base}/user", headers), _anacondas_words)
    if endpoint.kind == DEVPI:
        return _devpi(web, endpoint, username, secret)
    return _reading(web, endpoint, username, secret)


def _warehouse(web: IndexWeb, endpoint: IndexEndpoint, username: str, secret: str) -> Verdict:
    headers = {"Content-Type": "application/x-www-form-urlencoded", **_basic(username, secret)}
    reply = web.ask("POST", f"{endpoint.base}/legacy/", headers, _FORM)
    if reply.status == 400:  # it judged the form, which it does only for a known token
        return Verdict(
            ACCEPTED,
            f"{reply.host} knows the token.",
            "This does not prove its restrictions and its expiry: they count at an upload.",
        )
    if reply.status in _REFUSES:
        return Verdict(
            REFUSED,
            f"{reply.host} does not know the token: it was revoked, or is for another index.",
        )
    raise reply.unexpected_error()


def _verdict_of_api(reply: IndexReply, words: Any) -> Verdict:
    """Judge the answer of an API that describes the token in the request."""
    if reply.status in _REFUSES:
        return Verdict(REFUSED, f"{reply.host} does not accept the token.")
    if reply.status != 200:
        raise reply.unexpected_error()
    fields = reply.fields()
    if fields.get("active") is False:
        return Verdict(REFUSED, f"{reply.host} knows the token, but it is no longer active.")
    return Verdict(ACCEPTED, f"{reply.host} accepts the token{words(fields)}.", _UPLOADS)


def _gitlabs_words(fields: dict[str, Any]) -> str:
    scopes, end = fields.get("scopes"), fields.get("expires_at")
    words = [f"scopes {', '.join(map(str, scopes))}"] if isinstance(scopes, list) else []
    words += [f"until {end}"] if isinstance(end, str) else []
    return f" ({'; '.join(words)})" if words else ""


def _anacondas_words(fields: dict[str, Any]) -> str:
    login = fields.get("login")
    return f" as that of {login}" if isinstance(login, str) else ""


def _devpi(web: IndexWeb, endpoint: IndexEndpoint, username: str, secret: str) -> Verdict:
    reply = web.ask("GET", f"{endpoint.base}/+api", _basic(username, secret))
    if reply.status in _REFUSES:
        return Verdict(REFUSED, f"{reply.host} does not accept the credential.")
    if reply.status != 200:
        raise reply.unexpected_error()
    result = reply.fields().get("result")
    status = result.get("authstatus") if isinstance(result, dict) else None
    match status:
        case ["ok", str(who), *_]:
            return Verdict(ACCEPTED, f"{reply.host} accepts the credential of {who}.", _UPLOADS)
        case [str(), *_]:
            return Verdict(REFUSED, f"{reply.host} does not accept the credential.")
    return Verdict(UNKNOWN, f"{reply.host} does not say whether it accepts the credential.")


def _reading(web: IndexWeb, endpoint: IndexEndpoint, username: str, secret: str) -> Verdict:
    """Ask for the list of projects, first without the credential: a public list proves nothing."""
    page = f"{endpoint.base}/simple/"
    anybody = web.ask("GET", page)
    reply = web.ask("GET", page, _basic(username, secret))
    if reply.status in _REFUSES:
        return Verdict(REFUSED, f"{reply.host} does not accept the credential.")
    if reply.status != 200:
        return Verdict(
            UNKNOWN,
            f"{page} does not show whether the credential is accepted (status {reply.status}).",
        )
    if anybody.status in _REFUSES:
        return Verdict(ACCEPTED, f"{reply.host} accepts the credential, and needs one.", _UPLOADS)
    return Verdict(UNKNOWN, f"{page} is public, so it proves nothing.")


def _basic(username: str, secret: str) -> dict[str, str]:
    pair = f"{username}:{secret}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
