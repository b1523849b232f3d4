"""Is this a token that pypi or testpypi could accept? Asked before it is stored.

Their tokens are `pypi-` and a macaroon in unpadded base64url, on both hosts: which of the two made
it stands in the macaroon's location, which is not signed and so a help for people, no protection.
A macaroon (version 2, binary, as libmacaroons' doc/format.txt has it) is

    02 | 01 length location | 02 length identifier | 00 |
    for each caveat: 02 length data 00 | 00 | 06 20 signature (32 bytes)

with lengths in LEB128. Everywhere else any secret is welcome; a token of these two that is given
to another host is worth one sentence. No secret, and no part of one, is in a message.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field

from tokenward.errors import CommandError
from tokenward_protocol.urls import FIXED, PYPI, TESTPYPI, display

PREFIX = "pypi-"
TOKEN_USER = "__token__"  # noqa: S105 - a user name
_HOSTS = {"pypi.org": PYPI, "test.pypi.org": TESTPYPI}
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
        return Checked(secret, _for_another_host(key, secret))
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
                f"copy all of it anew from {_page(TESTPYPI)}",
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
            f"make one at {_page(key)}",
        )
    made_by = maker(token)
    if made_by is None:
        raise CommandError(
            "The token is truncated or damaged: it begins as one, but does not end as one.",
            f"copy all of it; {_page(key)} makes a new one",
        )
    other = _HOSTS.get(made_by)
    if other is None:
        raise CommandError(f"The token was made by another index than {name}.")
    if other != key:
        raise CommandError(
            f"The token was made by {display(other)}, and {name} does not know it.",
            f"`auth login {display(other)}` stores it where it belongs",
        )
    return Checked(token, notice)


def maker(token: str) -> str | None:
    """Return the location of a `pypi-` token ("" if it has none), None if it is no such token."""
    body = token.removeprefix(PREFIX)
    if body == token or not re.fullmatch("[A-Za-z0-9_-]+", body) or len(body) % 4 == 1:
        return None
    try:
        return _location(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, IndexError):
        return None


def _for_another_host(key: str, secret: str) -> str:
    made_by = _HOSTS.get(maker(secret) or "")
    if made_by is None:
        return ""
    return f"This is a token of {display(made_by)}, and it is stored for {key}."


def _location(raw: bytes) -> str:
    """Read a macaroon to its end. Raises ValueError or IndexError where it is none."""
    if raw[0] != 2:
        raise ValueError
    at, location = 1, b""
    if raw[at] == 1:
        at, location = _field(raw, at, 1)
    at, _ = _field(raw, at, 2)
    at = _end(raw, at)
    while raw[at] != 0:
        at, _ = _field(raw, at, 2)
        at = _end(raw, at)
    at, signature = _field(raw, _end(raw, at), 6)
    if len(signature) != 32 or at != len(raw):
        raise ValueError
    return location.decode()


def _field(raw: bytes, at: int, kind: int) -> tuple[int, bytes]:
    """Return where the field at `at` ends, and its data."""
    if raw[at] != kind:
        raise ValueError
    length = shift = 0
    more = True
    while more:
        at += 1
        length |= (raw[at] & 0x7F) << shift
        shift += 7
        more = raw[at] >= 0x80
        if shift > 28:  # far more than a frame holds
            raise ValueError
    end = at + 1 + length
    if end > len(raw):
        raise ValueError
    return end, raw[at + 1 : end]


def _end(raw: bytes, at: int) -> int:
    if raw[at] != 0:
        raise ValueError
    return at + 1


def _page(key: str) -> str:
    host = "test.pypi.org" if key == TESTPYPI else "pypi.org"
    return f"https://{host}/manage/account/token/"
