"""Which credential answers: the one order of the sources, for every command and tool.

The sources are the environment, the agent and the user's .pypirc; the first that has an answer
decides. Each answers for the URL of its credential and for what lies below, and for nothing else.
If a provider is named, only its vault is asked.

If a vault is not open or no agent answers, but nothing was ever stored for that origin, the other
sources are asked as usual; if they have nothing either, the agent's error is raised.

The agent hands out an attenuated token if it can make one, unless the whole is asked for
(narrowing.py). `describe` searches in the same order, and returns no secret.

Tools give keyrings any word as the service: `keyring set poetry-repository-x alice`. Such a
credential is stored under exactly that word, and answers for nothing else. A name that a file
defines and a host with a credential keep their usual meaning; only a word without one is looked up
as it was typed (`service_or_word`).
"""

from __future__ import annotations

from time import time

from tokenward.credentials import unlocking
from tokenward.credentials.narrowing import Restriction, attenuate, read_token
from tokenward.errors import CommandError
from tokenward.settings.service_names import Service
from tokenward.transport.connect import AgentAbsent, AgentError
from tokenward.ui.formatting import ahead_text, credential_text, join_words
from tokenward_protocol.light import Record
from tokenward_protocol.urls import FIXED, display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn

    from tokenward.session import Session
    from tokenward.transport.connect import Answer


_A_LITTLE = 5
"""Seconds that may pass before the expiry in an answer is checked."""

TOOL = Restriction()
"""The restriction for tools without further options."""


class FoundCredential(Record):
    """A secret and its source.

    `service` is the key under which it is stored, `source` is `environment`, `agent` or
    `pypirc`, `where` is a kind of place and its name, `expires` is in seconds since 1970. `projects`
    are the known limits of the token, or None.
    """

    service: str
    username: str
    secret: bytes
    source: str
    where: tuple[str, str]
    expires: int | None = None
    projects: tuple[str, ...] | None = None

    def __reduce__(self) -> NoReturn:
        raise TypeError("a found credential is not pickled: that would write its secret")

    @property
    def origin(self) -> str:
        """A sentence on where it comes from."""
        return f"From the {' '.join(self.where)}: {credential_text(self.username, self.service)}."

    @property
    def text(self) -> str:
        """The secret as text. Raises CommandError if it is not text."""
        try:
            return self.secret.decode()
        except UnicodeDecodeError:
            pass  # raised below: the exception would hold the secret
        raise CommandError("The stored secret is not text.", "log in again")


def find_credential(
    session: Session,
    service: Service,
    username: str | None,
    provider: str | None = None,
    *,
    offer: bool = False,
    restriction: Restriction = TOOL,
    several: str | None = None,
) -> FoundCredential | None:
    """Return the credential that answers for `service`, or None.

    `offer`: the user may be prompted on a terminal to end a lock. `several` is the hint if several
    accounts match: how the user names one here. Raises CommandError, for instance for a closed vault,
    and behind a relay.
    """
    require_outside_of_runs(session)
    found = None if provider else _from_environment(session, service, username, restriction)
    withheld: CommandError | None = None
    if found is None:
        arguments = {"provider": provider, **restriction.arguments()}
        answer = None
        try:
            answer = ask_agent(session, "fetch", service, username, arguments, offer=offer)
        except (AgentError, AgentAbsent) as refused:
            if (
                several is not None
                and isinstance(refused, AgentError)
                and refused.code == "ambiguous"
                and "entries" not in refused.header
            ):
                raise CommandError(str(refused), several) from None
            if provider or not was_never_stored(session, service, refused):
                raise
            withheld = refused
        if answer is not None:
            if limits := _limits_text(answer.header):
                session.terminal.detail(limits)
            session.terminal.warn(_early_end_text(answer.header, restriction, time()))
            return _from_agent(answer, restriction)
    if found is None and provider is None:
        found = _from_pypirc(session, service, username, restriction)
    if found is None and withheld is not None:
        raise withheld
    return found


def ask_for_run(
    session: Session, service: Service, arguments: Mapping[str, Any], listing: bytes
) -> Answer | None:
    """Have the agent add an index to a run; return its answer, None without a credential.

    The sources are asked in their order. What the agent does not have goes there with the request,
    before the `listing` of files to publish, and serves this run alone. Raises CommandError.
    """
    require_outside_of_runs(session)
    username, whole = service.username or None, Restriction(whole=True)
    found = _from_environment(session, service, username, whole)
    withheld: CommandError | None = None
    if found is None:
        try:
            answer = ask_agent(session, "grant", service, username, arguments, listing, offer=True)
        except AgentError as refused:
            if not was_never_stored(session, service, refused):
                raise
            answer, withheld = None, refused
        if answer is not None:
            return answer
        found = _from_pypirc(session, service, username, whole)
    if found is None:
        if withheld is not None:
            raise withheld
        return None
    session.terminal.detail(found.origin)
    own = {"own": found.service, "size": len(found.secret), **arguments}
    body = found.secret + listing
    return ask_agent(session, "grant", service, found.username, own, body, offer=False)


def require_outside_of_runs(session: Session) -> None:
    """Raise CommandError below the command of a run: what it has is worth nothing elsewhere."""
    if session.is_in_run:
        raise CommandError(
            "This command runs behind a relay, which adds the credential on the way and hands out none.",
            "`auth exec --env` hands it to a command",
        )


def was_never_stored(session: Session, service: Service, refused: CommandError) -> bool:
    """Return whether a refusal is no reason to stop: nothing was stored for the service."""
    if isinstance(refused, AgentError):
        return refused.header.get("stored") is False
    if not isinstance(refused, AgentAbsent):
        return False
    from tokenward.keyring_program.agent_client import is_listed as stored_there

    return session.directory is None or not stored_there(session.directory, service.key)


def describe(
    session: Session,
    service: Service,
    username: str | None,
    provider: str | None = None,
    projects: tuple[str, ...] = (),
) -> dict[str, Any] | None:
    """Return the visible parts of the credential, as the agent's `describe` has them, or None."""
    require_outside_of_runs(session)
    found = (
        None if provider else _from_environment(session, service, username, Restriction(whole=True))
    )
    if found is None:
        wanted = {"provider": provider, "projects": " ".join(projects) or None}
        answer = ask_agent(session, "describe", service, username, wanted, offer=True)
        if answer is not None:
            return {**answer.header, "source": "agent"}
    if found is None and provider is None:
        found = _from_pypirc(session, service, username, Restriction(whole=True))
    if found is None:
        return None
    from tokenward_protocol.index_tokens import describe as told

    token = read_token(found.secret)
    said = {"service": found.service, "username": found.username, "source": found.source}
    return {
        **said,
        "created": None,
        "expires": None,
        "sealed": False,
        "token": token and told(token),
    }


def _from_environment(
    session: Session, service: Service, username: str | None, restriction: Restriction
) -> FoundCredential | None:
    if not any(name.startswith(("UV_INDEX_", "UV_PUBLISH_")) for name in session.environ):
        return None
    from tokenward.credentials import environment

    bound = environment.find_in_environment(
        session.environ,
        service.key,
        username,
        lambda: session.settings.own_names,
        session.terminal.detail,
    )
    if bound is None:
        return None
    secret = attenuate(bound.secret.encode("utf-8", "surrogateescape"), restriction)
    where = ("variable", bound.variable)
    return FoundCredential(bound.key, bound.username, secret[0], "environment", where, *secret[1:])


def _from_pypirc(
    session: Session, service: Service, username: str | None, restriction: Restriction
) -> FoundCredential | None:
    from tokenward.settings import pypirc

    server = pypirc.find_server(session.settings.pypirc, service.key, username, service.name)
    if server is None:
        return None
    secret = attenuate((server.password or "").encode(), restriction)
    key, where = server.key or service.key, ("file", server.file)
    return FoundCredential(key, server.username or "", secret[0], "pypirc", where, *secret[1:])


def ask_agent(
    session: Session,
    op: str,
    service: Service,
    username: str | None,
    arguments: Mapping[str, Any],
    body: bytes = b"",
    *,
    offer: bool,
) -> Answer | None:
    """Ask the agent about a credential; return None if it has none. Raises AgentError.

    If several accounts match, the user name that the file with the service's name gives decides.
    """
    try:
        return unlocking.ask(
            session, op, body, offer=offer, service=service.key, username=username, **arguments
        )
    except AgentError as refused:
        if refused.code == "not-found":
            return None
        usual = service.default_username
        if refused.code != "ambiguous" or "entries" in refused.header:
            raise
        if usual not in refused.header.get("usernames", ()):
            raise
        return ask_agent(session, op, service, usual, arguments, body, offer=offer)


def _from_agent(answer: Answer, restriction: Restriction) -> FoundCredential:
    header: dict[str, Any] = answer.header
    where = ("provider", header["provider"])
    found = FoundCredential(header["service"], header["username"], answer.body, "agent", where)
    found.expires, found.projects = header["expires"], header.get("projects")
    if restriction.whole:
        _, end, found.projects = attenuate(answer.body, restriction)
        ends = [each for each in (found.expires, end) if each is not None]
        found.expires = min(ends, default=None)
    return found


def _early_end_text(header: dict[str, Any], restriction: Restriction, now: float) -> str:
    """Return a sentence if a token expires well before the requested time, else ""."""
    end = header["expires"]
    if restriction.ttl is None or end is None or end > now + restriction.ttl - _A_LITTLE:
        return ""
    return (
        f"The token for {display(header['service'])} expires {ahead_text(end, now - 1)}, earlier than"
        " requested: the stored token, a share or your policy allows no more."
    )


def _limits_text(header: dict[str, Any]) -> str:
    """Return a sentence on how the agent attenuated the token and by which evidence, or ""."""
    if not header.get("narrowed"):
        return ""
    projects, evidence = header["projects"], header["evidence"]
    why = f" ({evidence})" if evidence else ""
    what = "every project of the stored token" if projects is None else join_words(projects)
    return (
        f"Attenuated: it expires {ahead_text(header['expires'], time())}, and is for {what}{why}."
    )


def service_or_word(session: Session, text: str | None, provider: str | None) -> Service:
    """Return the meaning of SERVICE for a command about stored credentials. Raises CommandError.

    If a provider is named, only its vault is searched.
    """
    word = (text or "").strip()
    may_be = bool(word) and word not in FIXED and not any(mark in word for mark in ("://", "@"))
    try:
        found = session.service(text)
    except CommandError:
        if may_be and _is_stored(session, word, provider):
            return _opaque_service(word)
        raise
    usual = not may_be or found.file is not None or _is_stored(session, found.key, provider)
    return found if usual or not _is_stored(session, word, provider) else _opaque_service(word)


def _opaque_service(word: str) -> Service:
    return Service(word, word, word, word)


def _is_stored(session: Session, key: str, provider: str | None) -> bool:
    """Return whether a credential answers for a key, as far as the open vaults show."""
    try:
        session.ask_once("describe", service=key, provider=provider)
    except CommandError as refused:
        return isinstance(refused, AgentError) and refused.code == "ambiguous"
    return True
