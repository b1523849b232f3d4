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
from tokenward.transport.connect import AgentError
from tokenward.ui.formatting import ahead_text, capitalise, credential_text, timestamp
from tokenward.ui.secret_input import TOKEN_USER
from tokenward_protocol.light import Record
from tokenward_protocol.messages import MEMORY
from tokenward_protocol.urls import FIXED, display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from tokenward.indexes.oidc import Issuer
    from tokenward.session import Session
    from tokenward.settings.service_names import Service
    from tokenward.transport.connect import Answer


RENEWED_SECONDS = 300
"""Seconds before its expiry in which a token is renewed: an upload may take some minutes."""


class HeldToken(Record):
    """A token that leaves the agent, with its expiry in seconds since 1970."""

    service: str
    username: str
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
    keys = service.login_keys
    key = keys[-1]
    issuer = _issuer(session, key)
    if issuer is None:
        raise CommandError(
            "`--trusted-publishing` works only with pypi and testpypi, and where `oidc` in your"
            " config.toml says so.",
            "another index could obtain an identity token that is meant for these",
        )
    headers, end = _mint(session, keys, issuer)
    said = credential_text(issuer.username, key)
    session.terminal.say(f"Kept {said} in memory only; it expires {ahead_text(end, time() - 1)}.")
    name = service.name or display(key)
    session.terminal.hint(
        f"`auth login {name} --trusted-publishing` mints another, `auth logout {name}` revokes it"
    )
    stored = [
        {"service": each, "replaced": header["replaced"], "kept": False}
        for each, header in zip(keys, headers, strict=True)
    ]
    session.write_json(
        {
            **stored[-1],
            "username": issuer.username,
            "provider": headers[-1]["provider"],
            "adopted": False,
            "sealed": False,
            "projects": None,
            "expires": timestamp(end),
            "check": None,
            "stored": stored,
        }
    )


def renew(session: Session, key: str) -> bool:
    """Mint another token if the one in memory expires soon; return whether that was done.

    A failure is a warning: the old token is still valid for a while.
    """
    issuer = _issuer(session, key)
    if issuer is None:
        return False
    username = issuer.username
    try:
        found = unlocking.ask(session, "describe", service=key, username=username).header
    except AgentError:
        return False  # it expired just now
    if found["provider"] != MEMORY or found["expires"] - time() > RENEWED_SECONDS:
        return False
    name = capitalise(credential_text(username, key))
    try:
        _, end = _mint(session, (key,), issuer)
    except CommandError as failed:
        soon = ahead_text(found["expires"], time() - 1)
        session.terminal.warn(f"{name} was not renewed, and expires {soon}: {failed}")
        return False
    session.terminal.say(f"{name} was renewed; it expires {ahead_text(end, time() - 1)}.")
    return True


def _issuer(session: Session, key: str) -> Issuer | None:
    """Return what mints tokens for a service. No project's file is looked at."""
    from tokenward.indexes.oidc import issuer_of

    return issuer_of(key, session.settings.config.definitions)


def _mint(
    session: Session, keys: Sequence[str], issuer: Issuer
) -> tuple[list[Mapping[str, Any]], int]:
    """Mint a token and have the agent keep it under `keys`; return its answers and the expiry."""
    from tokenward.credentials import storing as tokens
    from tokenward.indexes import checking, oidc, trusted_publishing
    from tokenward.indexes.web import Web
    from tokenward_protocol.index_reply import WebError

    web = Web(session.environ, time)
    try:
        identity = trusted_publishing.identity(oidc.audience_of(web, issuer))
        session.terminal.detail(
            f"The identity token says: {trusted_publishing.describe_claims(identity) or 'nothing'}."
        )
        new = oidc.mint(web, issuer, identity)
    except WebError as failed:
        raise CommandError(str(failed)) from None
    for notice in web.notices():
        session.terminal.warn(notice)
    if issuer.oidc is None:
        checking.tell_clock(session, keys[0], web)
    token = tokens.check_secret_for(keys, issuer.username, new.token).body
    headers: list[Mapping[str, Any]] = [
        unlocking.ask(
            session,
            "login",
            token,
            offer=True,
            service=key,
            username=issuer.username,
            lifetime=new.seconds,
            memory=True,
        ).header
        for key in keys
    ]
    return headers, int(time()) + new.seconds


def held_tokens(ask: Callable[..., Answer], keys: Iterable[str] | None = None) -> list[HeldToken]:
    """Return the tokens that the agent has in memory only: those of these services, or all.

    Raises AgentError if `keys` is None and the agent does not list its credentials.
    """
    if keys is not None and {*keys} <= {*FIXED.values()}:
        accounts = [(key, TOKEN_USER) for key in keys]
    else:
        accounts = [each for each in _accounts(ask) if keys is None or each[0] in keys]
    return [token for each in accounts if (token := _held_token(ask, *each)) is not None]


def _accounts(ask: Callable[..., Answer]) -> list[tuple[str, str]]:
    held = [each for each in list_all(ask)[0] if each["provider"] == MEMORY]
    return [(str(each["service"]), str(each["username"])) for each in held]


def _held_token(ask: Callable[..., Answer], service: str, username: str) -> HeldToken | None:
    try:
        found = ask("describe", service=service, username=username).header
        if found["provider"] != MEMORY or found["service"] != service:
            return None
        secret = ask("fetch", service=service, username=username, whole=True).body
    except AgentError:
        return None  # none is stored, or it expired just now
    return HeldToken(service, username, int(found["expires"]), secret)


def burn(session: Session, tokens: Iterable[HeldToken]) -> set[str]:
    """Revoke tokens that the agent does not hold any more; return the services that were done."""
    burnt: set[str] = set()
    for token in tokens:
        from tokenward.indexes import oidc
        from tokenward.indexes.web import Web
        from tokenward_protocol.index_reply import WebError

        try:
            issuer = _issuer(session, token.service)
            if issuer is None:
                raise WebError("config.toml does not name what minted it.")
            web = Web(session.environ, time)
            session.terminal.say(oidc.burn(web, issuer, token.secret.decode()))
        except (CommandError, WebError) as failed:
            name = capitalise(credential_text(token.username, token.service))
            end = ahead_text(token.expires, time())
            session.terminal.warn(f"{name} was not revoked, and expires {end}: {failed}")
        else:
            burnt.add(token.service)
    return burnt
