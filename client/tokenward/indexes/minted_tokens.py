"""Tokens of trusted publishing: mint them, keep them in the agent's memory only, revoke them.

A command that runs in the job mints another token in time (`renew`). Only the job can: the agent
has neither a network connection nor the variables that let the job get identity tokens.

Revoking one needs no question and no option: it was made for this run, and expires in minutes. So a
failure is only a warning, and stops neither a logout nor the end of the agent.
"""

from __future__ import annotations

from time import time

from tokenward.credentials import unlocking
from tokenward.credentials.listing import list_all
from tokenward.errors import CommandError, exclude
from tokenward.light import Record
from tokenward.transport.connect import AgentError
from tokenward.ui.formatting import ahead_text, capitalise, credential_text, timestamp
from tokenward.ui.secret_input import TOKEN_USER
from tokenward_protocol.messages import MEMORY
from tokenward_protocol.urls import FIXED, display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from tokenward.session import Session
    from tokenward.settings.service_names import Service
    from tokenward.transport.connect import Answer


RENEWED_SECONDS = 300
"""Seconds before its expiry in which a token is renewed: an upload may take some minutes."""


class HeldToken(Record):
    """A token that leaves the agent, with its expiry in seconds since 1970."""

    service: str
    expires: int
    secret: bytes


def mint_and_keep(arguments: Namespace, session: Session, service: Service) -> None:
    """Mint a token for this CI job, and have the agent keep it in memory. Raises CommandError."""
    decided = {
        "--username": arguments.username or service.username,
        "--no-username": arguments.no_username,
        "--no-password": arguments.no_password,
        "--token": arguments.token,
        "--password": arguments.password or service.password,
        "--keyring-provider": arguments.keyring_provider,
        "--lifetime": arguments.lifetime,
        "--adopt": arguments.adopt,
        "--check": arguments.check,
    }
    exclude("--trusted-publishing", decided)
    key = service.publish_key
    if key not in FIXED.values():
        raise CommandError(
            "`--trusted-publishing` works only with pypi and testpypi.",
            "another index could obtain an identity token that is meant for these",
        )
    header, end = _mint(session, key)
    session.terminal.say(
        f"Kept {credential_text(TOKEN_USER, key)} in memory only; it expires {ahead_text(end, time() - 1)}."
    )
    name = display(key)
    session.terminal.hint(
        f"`auth login {name} --trusted-publishing` mints another, `auth logout {name}` revokes it"
    )
    stored = {"service": key, "replaced": header["replaced"], "kept": False}
    session.write_json(
        {
            **stored,
            "username": TOKEN_USER,
            "provider": header["provider"],
            "adopted": False,
            "sealed": False,
            "projects": None,
            "expires": timestamp(end),
            "check": None,
            "stored": [stored],
        }
    )


def renew(session: Session, key: str) -> bool:
    """Mint another token if the one in memory expires soon; return whether that was done.

    A failure is a warning: the old token is still valid for a while.
    """
    try:
        found = unlocking.ask(session, "describe", service=key, username=TOKEN_USER).header
    except AgentError:
        return False  # it expired just now
    if found["provider"] != MEMORY or found["expires"] - time() > RENEWED_SECONDS:
        return False
    name = capitalise(credential_text(TOKEN_USER, key))
    try:
        _, end = _mint(session, key)
    except CommandError as failed:
        soon = ahead_text(found["expires"], time() - 1)
        session.terminal.warn(f"{name} was not renewed, and expires {soon}: {failed}")
        return False
    session.terminal.say(f"{name} was renewed; it expires {ahead_text(end, time() - 1)}.")
    return True


def _mint(session: Session, key: str) -> tuple[Mapping[str, Any], int]:
    """Mint a token and have the agent keep it; return the agent's answer and the token's expiry."""
    from tokenward.credentials import storing as tokens
    from tokenward.indexes import checking, trusted_publishing
    from tokenward.indexes.place import endpoint_of
    from tokenward.indexes.web import Web
    from tokenward_protocol.index_reply import WebError

    web = Web(session.environ, time)
    endpoint = endpoint_of(key)
    try:
        identity = trusted_publishing.identity(trusted_publishing.audience(web, endpoint))
        session.terminal.detail(
            f"The identity token says: {trusted_publishing.describe_claims(identity) or 'nothing'}."
        )
        new = trusted_publishing.mint(web, endpoint, identity)
    except WebError as failed:
        raise CommandError(str(failed), failed.hint) from None
    for notice in web.notices():
        session.terminal.warn(notice)
    checking.tell_clock(session, key, web)
    token = tokens.check_secret_for((key,), TOKEN_USER, new.token).body
    header = unlocking.ask(
        session,
        "login",
        token,
        offer=True,
        service=key,
        username=TOKEN_USER,
        lifetime=new.seconds,
        memory=True,
    ).header
    return header, int(time()) + new.seconds


def held_tokens(ask: Callable[..., Answer], keys: Iterable[str] | None = None) -> list[HeldToken]:
    """Return the tokens that the agent has in memory only: those of these services, or all.

    Raises AgentError if `keys` is None and the agent does not list its credentials.
    """
    services = _services(ask) if keys is None else keys
    return [token for service in services if (token := _held_token(ask, service)) is not None]


def _services(ask: Callable[..., Answer]) -> list[str]:
    return [str(each["service"]) for each in list_all(ask)[0] if each["provider"] == MEMORY]


def _held_token(ask: Callable[..., Answer], service: str) -> HeldToken | None:
    try:
        found = ask("describe", service=service, username=TOKEN_USER).header
        if found["provider"] != MEMORY or found["service"] != service:
            return None
        secret = ask("fetch", service=service, username=TOKEN_USER, whole=True).body
    except AgentError:
        return None  # none is stored, or it expired just now
    return HeldToken(service, int(found["expires"]), secret)


def burn(session: Session, tokens: Iterable[HeldToken]) -> set[str]:
    """Revoke tokens that the agent does not hold any more; return the services that were done."""
    burnt: set[str] = set()
    for token in tokens:
        from tokenward.indexes.place import endpoint_of
        from tokenward.indexes.web import Web
        from tokenward_protocol import index_revocation
        from tokenward_protocol.index_reply import WebError

        web, endpoint = Web(session.environ, time), endpoint_of(token.service)
        try:
            session.terminal.say(index_revocation.burn(web, endpoint, token.secret.decode()))
        except WebError as failed:
            name = capitalise(credential_text(TOKEN_USER, token.service))
            end = ahead_text(token.expires, time())
            session.terminal.warn(f"{name} was not revoked, and expires {end}: {failed}")
        else:
            burnt.add(token.service)
    return burnt
