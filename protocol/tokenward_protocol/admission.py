"""The checks on a secret before it is stored, the same for every way to store one.

Agent and client call the same function: the agent before it stores anything; the client before it
makes a vault, asks an index or compares, so that the user gets the error early. It checks, in this
order,

- blanks and quotes around a token, copied by mistake. They are removed if a token is between them, or
  if the service accepts tokens only (pypi and testpypi). Any other secret is stored to the byte, with
  a notice;
- tokens that pypi or testpypi would surely refuse: a missing or another prefix, a truncated token,
  a token of another index. The token's location names its index. It is not signed, so this check is
  a help for the user and not a protection;
- tokens that have expired, according to themselves (a macaroon's caveat, a JWT's `exp`): one would
  replace a good token.

A secret is only ever a view here, and the part to store is a part of that view. No message contains a
secret or a part of one.
"""

from __future__ import annotations

from typing import NamedTuple

from tokenward_protocol.index_tokens import read_token
from tokenward_protocol.macaroons import MAX_TOKEN, SPARE, unwrap
from tokenward_protocol.token_ends import jwt_claims, jwt_end
from tokenward_protocol.urls import FIXED, PAGES, PYPI, TESTPYPI, display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from tokenward_protocol.index_tokens import IndexToken

PREFIX: Final = b"pypi-"
TOKEN_USER: Final = "__token__"  # noqa: S105 - the user name that every index knows tokens by
ROOM: Final = MAX_TOKEN + SPARE  # bytes of the buffer that `admit` decodes into
_TESTPYPI_PREFIX = b"testpypi-"
_HOSTS = {"pypi.org": PYPI, "test.pypi.org": TESTPYPI}
_STRANGERS = {
    b"ghp_": "a GitHub token",
    b"github_pat_": "a GitHub token",
    b"glpat-": "a GitLab token",
    b"devpi-": "a devpi token",
}
_BLANKS = (
    *(bytes((each,)) for each in b" \t\r\n\v\f\0"),
    b"\xc2\xa0",
    b"\xe2\x80\x8b",
    b"\xef\xbb\xbf",
)
_QUOTES = (
    b'"',
    b"'",
    b"`",
    *(each.encode() for each in "\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb"),
)
_AROUND = _BLANKS + _QUOTES


class NotAdmitted(Exception):  # noqa: N818 - what it says
    """A secret that must not be stored; the text is a sentence, `hint` says what helps."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Expired(NotAdmitted):
    """The token has expired."""


class Admission(NamedTuple):
    """The part of the secret to store: from `start` to `stop`.

    `changed` is a sentence about what was removed, `notice` is a warning; either may be "". `end` is
    when the secret expires according to itself, in seconds since 1970, None if it does not say so.
    """

    start: int
    stop: int
    changed: str = ""
    notice: str = ""
    end: int | None = None


def admit(service: str, username: str, secret: memoryview, room: memoryview, now: int) -> Admission:
    """Check a secret for a service, which is a key; `now` is in seconds since 1970.

    *room* needs `ROOM` bytes, and holds a decoded token afterwards. Raises NotAdmitted.
    """
    fixed = service in FIXED.values()
    start, stop = _trim(secret)
    token = _read(secret[start:stop], room)
    claims = jwt_claims(secret[start:stop]) if token is None else {}
    changed = ""
    if start or stop < len(secret):
        if (fixed and username == TOKEN_USER) or token is not None or claims is not None:
            changed = "The blanks or quotes around the token were removed."
        else:
            start, stop = 0, len(secret)
    if fixed and username == TOKEN_USER:
        if _starts_with(secret[start:stop], _TESTPYPI_PREFIX):
            start += len(_TESTPYPI_PREFIX) - len(PREFIX)  # both have the same end
            token = _read(secret[start:stop], room)
            if token is None or _HOSTS.get(token.location) != TESTPYPI:
                raise NotAdmitted(
                    "The token begins with testpypi-, but testpypi did not make the rest of it.",
                    f"copy all of it again from {PAGES[TESTPYPI]}",
                )
            changed = (
                "It was stored without its testpypi- prefix: testpypi's tokens begin with pypi-,"
                " too."
            )
        _judge(service, secret[start:stop], token, room)
    end = jwt_end(claims or {}) if token is None else token.scope.expires
    if end is not None and end <= now:
        page = PAGES.get(service)
        raise Expired(
            "The token has expired, according to itself.",
            f"make one at {page}" if page else "get a new one from where you got this one",
        )
    return Admission(start, stop, changed, _notice(service, username, secret, token), end)


def _trim(secret: memoryview) -> tuple[int, int]:
    """Return the start and end of the text between blanks and quotes."""
    start, stop = 0, len(secret)
    while start < stop and (size := _at_start(secret[start:stop])):
        start += size
    while start < stop and (size := _at_end(secret[start:stop])):
        stop -= size
    return start, stop


def _at_start(view: memoryview) -> int:
    return next((len(each) for each in _AROUND if _starts_with(view, each)), 0)


def _at_end(view: memoryview) -> int:
    return next((len(each) for each in _AROUND if view[-len(each) :] == each), 0)


def _starts_with(view: memoryview, word: bytes) -> bool:
    return view[: len(word)] == word


def _read(text: memoryview, room: memoryview) -> IndexToken | None:
    try:
        return read_token(text, room)
    except ValueError:
        return None


def _judge(service: str, text: memoryview, token: IndexToken | None, room: memoryview) -> None:
    """Raise NotAdmitted if pypi or testpypi would surely refuse a token."""
    name = display(service)
    if not _starts_with(text, PREFIX):
        if _is_macaroon(text, room):
            raise NotAdmitted(
                "The token is not whole: its beginning, pypi-, is missing.",
                "copy all of it, or write pypi- in front of it",
            )
        stranger = next((what for word, what in _STRANGERS.items() if _starts_with(text, word)), "")
        raise NotAdmitted(
            f"This is {stranger}: a token of {name} begins with pypi-."
            if stranger
            else f"A token of {name} begins with pypi-, and this one does not.",
            f"make one at {PAGES[service]}",
        )
    if token is None:
        raise NotAdmitted(
            "The token is truncated or damaged: it begins like a token, but does not end like one.",
            f"copy all of it; {PAGES[service]} makes a new one",
        )
    maker = _HOSTS.get(token.location)
    if maker is None:
        raise NotAdmitted(
            f"The token was made by another index, not by {name}.", f"make one at {PAGES[service]}"
        )
    if maker != service:
        raise NotAdmitted(
            f"The token was made by {display(maker)}, and {name} does not know it.",
            f"`auth login {display(maker)}` stores it where it belongs",
        )


def _is_macaroon(text: memoryview, room: memoryview) -> bool:
    """Tell whether a text is what follows the prefix of a token."""
    try:
        unwrap(text, room)
    except ValueError:
        return False
    return True


def _notice(service: str, username: str, secret: memoryview, token: IndexToken | None) -> str:
    if service in PAGES:
        if username == TOKEN_USER:
            return ""
        return f"{display(service)} takes API tokens only: it will refuse a user name and password."
    maker = _HOSTS.get(token.location) if token is not None else None
    if maker is not None:
        return f"This is a token of {display(maker)}, and it is stored for {service}."
    ends = (secret[:1], secret[-1:])
    if len(secret) > 1 and ends[0] == ends[1] and any(ends[0] == each for each in _QUOTES):
        return "The secret begins and ends with a quote, and both were stored with it."
    return ""
