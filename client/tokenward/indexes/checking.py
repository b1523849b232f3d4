"""Whether an index accepts a credential (`--check`), by a request that changes nothing there.

| index | request | what the answer proves |
| PyPI, TestPyPI | an upload without a file | the token is known; not its restrictions and expiry |
| GitLab | GET /api/v4/personal_access_tokens/self | it is active, its scopes and its expiry |
| Anaconda | GET /user | its user |
| devpi | GET /+api | its user |
| any other | its list of projects, without and with the credential | reading needs it |

An index that shows its list to everyone proves nothing by showing it. Requests go only to the host
that the credential is for, and only if the user asked for a check.

An index judges by its own clock, which its answers show: the agent is told that clock, so that its
attenuated tokens expire by it. The time that the agent gets is never later than that clock was.
"""

from __future__ import annotations

import base64
from time import time
from typing import NamedTuple

from tokenward.errors import CommandError
from tokenward.indexes.place import WAREHOUSE, endpoint_of, host
from tokenward.indexes.web import Web, WebError
from tokenward.settings.service_names import ANACONDA, DEVPI, GITLAB
from tokenward.transport.connect import AgentError
from tokenward_protocol.urls import display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from tokenward.indexes.place import IndexEndpoint
    from tokenward.indexes.web import Reply
    from tokenward.session import Session


ACCEPTED, REFUSED, UNKNOWN = "accepted", "refused", "unknown"

_REFUSES: Final = frozenset({401, 403})
_FORM: Final = b"%3Aaction=file_upload&protocol_version=1"
_UPLOADS: Final = "This does not prove that it may upload."


class Verdict(NamedTuple):
    """The result of a check: its `state`, a sentence, and one on what is not proven, or ""."""

    state: str
    message: str
    unproven: str = ""


def check(web: Web, endpoint: IndexEndpoint, username: str, secret: str) -> Verdict:
    """Ask the index. Raises WebError if it cannot be asked or its answer makes no sense."""
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


def _warehouse(web: Web, endpoint: IndexEndpoint, username: str, secret: str) -> Verdict:
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


def _verdict_of_api(reply: Reply, words: Any) -> Verdict:
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


def _devpi(web: Web, endpoint: IndexEndpoint, username: str, secret: str) -> Verdict:
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


def _reading(web: Web, endpoint: IndexEndpoint, username: str, secret: str) -> Verdict:
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


def ask_verdict(
    session: Session, key: str, username: str, secret: str, web: Web | None = None
) -> tuple[Verdict, Web]:
    """Ask the index of a credential, at its own host only.

    Return its verdict, and the `web` that asked. Raises WebError if it cannot be asked. Clocks that
    differ are reported once.
    """
    web = web or Web(session.environ, time)
    endpoint = endpoint_of(key, session.settings.config.definitions, secret)
    try:
        with session.terminal.at_work(f"Asking {host(key)} ..."):
            return check(web, endpoint, username, secret), web
    finally:
        for notice in web.notices():
            session.terminal.warn(notice)


def require_accepted(session: Session, key: str, username: str, secret: str) -> str:
    """Report the result of a check, and return its state. Raises CommandError if it is refused."""
    without = "nothing was stored; without `--check` it would be"
    try:
        found, web = ask_verdict(session, key, username, secret)
    except WebError as failed:
        raise WebError(str(failed), without) from None
    if found.state == REFUSED:
        raise CommandError(found.message, without)
    tell_clock(session, key, web)
    for sentence in filter(None, (found.message, found.unproven)):
        session.terminal.say(sentence)
    return found.state


FARTHEST = 86400
"""Seconds that an index's clock may differ; with a larger difference the clock has to be set."""


def tell_clock(session: Session, key: str, web: Web) -> bool:
    """Tell the agent the clock that `web` saw at the index of a key, if it saw one.

    Return whether attenuated tokens now expire at another time. A refusal of the agent is not an
    error: it then uses the clock of this machine.
    """
    if web.ahead is None or abs(web.ahead) > FARTHEST:
        return False
    try:
        session.ask_once("clock", service=key, now=int(time()) + web.ahead)
    except AgentError as refused:
        session.terminal.detail(f"The agent uses the clock of this machine: {refused}")
        return False
    if web.has_skew:
        session.terminal.say(
            f"Attenuated tokens for {display(key)} expire by its clock from now on."
        )
    return web.has_skew
