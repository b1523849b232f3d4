"""Is this a token that pypi or testpypi could accept? Asked before it is stored.

Their tokens are `pypi-` and a macaroon in unpadded base64url, on both hosts: which of the two made
it stands in the macaroon's location, which is not signed and so a help for people, no protection.
Everywhere else any secret is welcome; a token of these two that is given to another host is worth
one sentence, and so is one that has ended. No secret, and no part of one, is in a message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import time

from tokenward.errors import CommandError
from tokenward.layout import ago
from tokenward.narrowing import seen
from tokenward_protocol.urls import FIXED, PYPI, TESTPYPI, display

PREFIX = "pypi-"
TOKEN_USER = "__token__"  # noqa: S105 - a user name
_HOSTS = {"pypi.org": PYPI, "test.pypi.org": TESTPYPI}
PAGES = {
    PYPI: "https://pypi.org/manage/account/token/",
    TESTPYPI: "https://test.pypi.org/manage/account/token/",
}
"""Where a person makes and revokes tokens."""

_STRANGERS = {
    "ghp_": "a GitHub token",
    "github_pat_": "a GitHub token",
    "glpat-": "a GitLab token",
    "devpi-": "a devpi token",
}


@dataclass(frozen=True, slots=True)
class Checked:
    """What to store, and a sentence to say about it, or ""."""

    secret: str = field(repr=False)
    notice: str = ""


def checked(key: str, username: str, secret: str) -> Checked:
    """Check a secret that is about to be stored under `key`, a canonical service.

    Raises CommandError with the reason where pypi or testpypi would surely refuse the token.
    """
    if key not in FIXED.values():
        return Checked(secret, _for_another_host(key, secret) or _ended(secret))
    name = display(key)
    if username != TOKEN_USER:
        return Checked(
            secret, f"{name} takes API tokens only: it will refuse a user name and password."
        )
    token, notice = secret, ""
    if secret.startswith("testpypi-"):
        token = PREFIX + secret.removeprefix("testpypi-")
        if maker(token) != "test.pypi.org":
            raise CommandError(
                "The token begins with testpypi-, and what follows was not made by testpypi.",
                f"copy all of it anew from {PAGES[TESTPYPI]}",
            )
        notice = (
            "It was stored without its testpypi- prefix: testpypi's tokens begin with pypi-, too."
        )
    if not token.startswith(PREFIX):
        stranger = next((what for p, what in _STRANGERS.items() if token.startswith(p)), "")
        raise CommandError(
            f"This is {stranger}: a token of {name} begins with {PREFIX}."
            if stranger
            else f"A token of {name} begins with {PREFIX}, and this one does not.",
            f"make one at {PAGES[key]}",
        )
    made_by = maker(token)
    if made_by is None:
        raise CommandError(
            "The token is truncated or damaged: it begins as one, but does not end as one.",
            f"copy all of it; {PAGES[key]} makes a new one",
        )
    other = _HOSTS.get(made_by)
    if other is None:
        raise CommandError(f"The token was made by another index than {name}.")
    if other != key:
        raise CommandError(
            f"The token was made by {display(other)}, and {name} does not know it.",
            f"`auth login {display(other)}` stores it where it belongs",
        )
    return Checked(token, notice or _ended(token))


def maker(token: str) -> str | None:
    """Return the location of a `pypi-` token ("" if it has none), None if it is no such token."""
    found = seen(token.encode())
    return found.location if found is not None and token.startswith(PREFIX) else None


def _ended(secret: str) -> str:
    token, now = seen(secret.encode("utf-8", "surrogateescape")), time()
    end = None if token is None else token.restrictions.expires
    return "" if end is None or end > now else f"This token expired {ago(end, now)}."


def _for_another_host(key: str, secret: str) -> str:
    made_by = _HOSTS.get(maker(secret) or "")
    if made_by is None:
        return ""
    return f"This is a token of {display(made_by)}, and it is stored for {key}."
