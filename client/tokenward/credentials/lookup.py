"""Which credential answers, for every way in that may hand one out: the one order of the sources.

The environment, the agent, the user's .pypirc: the first that has an answer decides. Each of them
answers for the URL that its credential is for and for what lies below, and for nothing else. Where
a provider is named, its vault is asked and nothing else is.

Where a vault is not open, or no agent answers, but nothing was ever stored at that origin, the others
are asked as ever; what none of them has is the agent's word.

What the agent hands out is a narrower token than it stores, where there can be one, unless the whole
is asked for (narrowing.py). `described` finds alike, and returns no secret.
"""

from __future__ import annotations

from time import time

from tokenward.credentials import environment, unlocking
from tokenward.credentials.narrowing import Width, narrowed, seen
from tokenward.errors import CommandError
from tokenward.keyring_program.agent_client import listed as stored_there
from tokenward.settings import pypirc
from tokenward.transport.connect import AgentAbsent, AgentError
from tokenward.ui.formatting import ahead, listed
from tokenward_protocol.urls import display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from tokenward.session import Session
    from tokenward.settings.service_names import Service
    from tokenward.transport.connect import Answer

_A_LITTLE = 5
"""Seconds that go by before an answer is looked at."""

TOOL = Width()
"""What a tool gets where nothing else is asked for."""


class Found:
    """A secret and where it was.

    `service` is the key that the credential is stored under, `source` is `environment`, `agent` or
    `pypirc`, `where` says what that is called and which one, `expires` is in seconds since 1970.
    `projects` are those that it is known to be limited to, None if to none.
    """

    __slots__ = ("expires", "projects", "secret", "service", "source", "username", "where")

    def __init__(
        self,
        service: str,
        username: str,
        secret: bytes,
        source: str,
        where: tuple[str, str],
        expires: int | None = None,
        projects: tuple[str, ...] | None = None,
    ) -> None:
        self.service = service
        self.username = username
        self.secret = secret
        self.source = source
        self.where = where
        self.expires = expires
        self.projects = projects

    def __reduce__(self) -> NoReturn:
        raise TypeError("what was found is not pickled: that would write its secret down")

    @property
    def text(self) -> str:
        """The secret as text; raises CommandError where it is none."""
        try:
            return self.secret.decode()
        except UnicodeDecodeError:
            pass  # raised below: the exception would hold the secret
        raise CommandError("The stored secret is not text.", "log in again")


def find(
    session: Session,
    service: Service,
    username: str | None,
    provider: str | None = None,
    *,
    offer: bool = False,
    width: Width = TOOL,
) -> Found | None:
    """Return what answers for `service`, or None. Raises CommandError, such as for a closed vault.

    `offer`: a person at a terminal may be asked to end a lock.
    """
    found = None if provider else _from_environment(session, service, username, width)
    withheld: CommandError | None = None
    if found is None:
        arguments = {"provider": provider, **width.arguments()}
        answer = None
        try:
            answer = _asked(session, "fetch", service, username, arguments, offer=offer)
        except (AgentError, AgentAbsent) as refused:
            if provider or not was_never_stored(session, service, refused):
                raise
            withheld = refused
        if answer is not None:
            if limits := _limits(answer.header):
                session.terminal.detail(limits)
            session.terminal.warn(_early(answer.header, width, time()))
            return _from_agent(answer, width)
    if found is None and provider is None:
        found = _from_pypirc(session, service, username, width)
    if found is None and withheld is not None:
        raise withheld
    return found


def was_never_stored(session: Session, service: Service, refused: CommandError) -> bool:
    """Tell whether what kept an answer back has nothing to do with a service: nothing is stored there."""
    if isinstance(refused, AgentError):
        return refused.header.get("stored") is False
    if not isinstance(refused, AgentAbsent):
        return False
    return session.directory is None or not stored_there(session.directory, service.key)


def described(
    session: Session, service: Service, username: str | None, provider: str | None = None
) -> dict[str, Any] | None:
    """Return what is visible of what answers, as the agent's `describe` has it, or None."""
    found = None if provider else _from_environment(session, service, username, Width(whole=True))
    if found is None:
        answer = _asked(session, "describe", service, username, {"provider": provider}, offer=True)
        if answer is not None:
            return {**answer.header, "source": "agent"}
    if found is None and provider is None:
        found = _from_pypirc(session, service, username, Width(whole=True))
    if found is None:
        return None
    from tokenward_protocol.index_tokens import described as told

    token = seen(found.secret)
    said = {"service": found.service, "username": found.username, "source": found.source}
    return {
        **said,
        "created": None,
        "expires": None,
        "sealed": False,
        "token": token and told(token),
    }


def _from_environment(
    session: Session, service: Service, username: str | None, width: Width
) -> Found | None:
    bound = environment.find(
        session.environ,
        service.key,
        username,
        lambda: session.settings.own_names,
        session.terminal.detail,
    )
    if bound is None:
        return None
    secret = narrowed(bound.secret.encode("utf-8", "surrogateescape"), width)
    where = ("variable", bound.variable)
    return Found(bound.key, bound.username, secret[0], "environment", where, *secret[1:])


def _from_pypirc(
    session: Session, service: Service, username: str | None, width: Width
) -> Found | None:
    server = pypirc.credential(session.settings.pypirc, service.key, username, service.name)
    if server is None:
        return None
    secret = narrowed((server.password or "").encode(), width)
    key, where = server.key or service.key, ("file", server.file)
    return Found(key, server.username or "", secret[0], "pypirc", where, *secret[1:])


def _asked(
    session: Session,
    op: str,
    service: Service,
    username: str | None,
    arguments: dict[str, Any],
    *,
    offer: bool,
) -> Answer | None:
    """Ask the agent for what answers, None if nothing does."""
    try:
        return unlocking.ask(
            session, op, offer=offer, service=service.key, username=username, **arguments
        )
    except AgentError as refused:
        if refused.code == "not-found":
            return None
        usual = service.default_username  # what the file that defines the name says
        if refused.code != "ambiguous" or usual not in refused.header.get("usernames", ()):
            raise
        return _asked(session, op, service, usual, arguments, offer=offer)


def _from_agent(answer: Answer, width: Width) -> Found:
    header: dict[str, Any] = answer.header
    where = ("provider", header["provider"])
    found = Found(header["service"], header["username"], answer.body, "agent", where)
    found.expires, found.projects = header["expires"], header.get("projects")
    if width.whole:
        _, end, found.projects = narrowed(answer.body, width)
        ends = [each for each in (found.expires, end) if each is not None]
        found.expires = min(ends, default=None)
    return found


def _early(header: dict[str, Any], width: Width, now: float) -> str:
    """Say that a token ends well before the time that was asked for; "" if it does not."""
    end = header["expires"]
    if width.ttl is None or end is None or end > now + width.ttl - _A_LITTLE:
        return ""
    return (
        f"The token for {display(header['service'])} ends {ahead(end, now - 1)}, before the time that"
        " was asked for: what is stored, a share or your policy allows no more."
    )


def _limits(header: dict[str, Any]) -> str:
    """Say how the agent narrowed what it handed out, and by which evidence; "" if it did not."""
    if not header.get("narrowed"):
        return ""
    projects, evidence = header["projects"], header["evidence"]
    why = f" ({evidence})" if evidence else ""
    what = "every project that its parent is for" if projects is None else listed(projects)
    return f"Narrowed: it ends {ahead(header['expires'], time())}, and is for {what}{why}."
