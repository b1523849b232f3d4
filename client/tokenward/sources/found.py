"""A credential that another tool keeps, as it was found there."""

from __future__ import annotations

import re

from tokenward.errors import CommandError
from tokenward_protocol.urls import ServiceError, parse, strip_index_suffix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

USERINFO = re.compile(r"\w+://([^\s:/?#]*)(:?)([^\s/?#]*)@")
"""In a URL, by groups: the user name, a colon or nothing, the password, each as it is spelled."""

Span = tuple[int, int]
"""From where to where, in characters of the text that it was found in."""


class Found:
    """One credential. `place` names it within its file, for a person; no secret is in the repr.

    `services` are the keys to store it under, and `typed` the same with the `/simple/` that was there.
    `problem` and `hint` say why it cannot be taken over
    as it is, or are ""; a `username` of "" is one that is empty, None none at all; there may be no key then. `spans` are what has to go from the text so that
    the secret is gone; () where it cannot be cut out by itself. `foreign`: for all that is known it
    belongs to no index.
    """

    __slots__ = (
        "foreign", "hint", "place", "problem", "secret", "services", "spans", "typed", "username",
    )  # fmt: skip

    def __init__(
        self,
        place: str,
        services: Sequence[str],
        username: str | None,
        secret: str,
        spans: Sequence[Span] = (),
        *,
        problem: str = "",
        hint: str = "",
        foreign: bool = False,
        typed: Sequence[str] = (),
    ) -> None:
        if not problem and username is None:
            problem = f"{place} has no user name."
        self.place = place
        self.services = tuple(services)
        self.typed = tuple(typed or services)
        self.username = username or ""
        self.secret = secret
        self.spans = tuple(spans)
        self.problem = problem
        self.hint = hint
        self.foreign = foreign

    def __repr__(self) -> str:
        return f"<Found {self.place}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("what was found is not pickled: that would write a secret down")


def at_url(place: str, url: str, username: str | None, secret: str, spans: Sequence[Span]) -> Found:
    """Return what was found for a URL, which may hold the user name itself."""
    try:
        parsed = parse(url)
    except ServiceError as refused:
        problem, hint = str(refused), refused.hint
        return Found(place, (), username, secret, spans, problem=problem, hint=hint)
    key = strip_index_suffix(parsed.key)
    if username is None:
        username = "" if parsed.username is None and parsed.password else parsed.username
    return Found(place, (key,), username, secret, spans, typed=(parsed.key,))


def unreadable(path: str, line: int | None) -> CommandError:
    """Return the error for a file that its own tool could not read either; nothing is quoted."""
    return CommandError(f"{path} is malformed{f' in line {line}' if line else ''}.")
