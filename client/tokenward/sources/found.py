"""A credential in a file or keyring of another tool."""

from __future__ import annotations

import re

from tokenward.errors import CommandError
from tokenward_protocol.urls import ServiceError, parse_service_url, strip_index_suffix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

USERINFO = re.compile(r"\w+://([^\s:/?#]*)(:?)([^\s/?#]*)@")
"""In a URL, by groups: the user name, a colon or nothing, the password, each as spelled there."""

Span = tuple[int, int]
"""Start and end, in characters of the text."""


class ForeignCredential:
    """One credential. `place` names it within its file, for the user; no secret is in the repr.

    `services` are the keys to store it under, perhaps (), and `typed` the same with their original
    `/simple/`. `problem` and `hint` say why it cannot be imported, or are "". `username` is "" for
    an empty one, None for a missing one. `spans` are to be cut from the text to remove the
    secret, () if that is impossible. `foreign`: as far as is known it belongs to no index.
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
        return f"<ForeignCredential {self.place}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a found credential is not pickled: that would write a secret")


def at_url(
    place: str, url: str, username: str | None, secret: str, spans: Sequence[Span]
) -> ForeignCredential:
    """Return the credential for a URL, which may hold the user name itself."""
    try:
        parsed = parse_service_url(url)
    except ServiceError as refused:
        problem, hint = str(refused), refused.hint
        return ForeignCredential(place, (), username, secret, spans, problem=problem, hint=hint)
    key = strip_index_suffix(parsed.key)
    if username is None:
        username = "" if parsed.username is None and parsed.password else parsed.username
    return ForeignCredential(place, (key,), username, secret, spans, typed=(parsed.key,))


def unreadable_error(path: str, line: int | None) -> CommandError:
    """Return the error for a file that its own tool could not read either; it quotes nothing."""
    return CommandError(f"{path} is malformed{f' in line {line}' if line else ''}.")
