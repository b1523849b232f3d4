"""A credential in a file or keyring of another tool, and the indexes by which its place is known."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from tokenward.errors import CommandError
from tokenward.settings.service_names import env_form
from tokenward_protocol.urls import FIXED, ServiceError, parse_service_url, strip_index_suffix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import NoReturn

    from tokenward.files.draft import Span


USERINFO = re.compile(r"\w+://([^\s:/?#]*)(:?)([^\s/?#]*)@")
"""In a URL, by groups: the user name, a colon or nothing, the password, each as spelled there."""


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


class KnownIndex(NamedTuple):
    """An index: its URL without user info, its name and its user name."""

    url: str
    name: str | None = None
    username: str | None = None

    @property
    def key(self) -> str:
        """The index's service."""
        return parse_service_url(self.url).key

    @property
    def root(self) -> str:
        """The service of its whole host."""
        parts = urlsplit(self.url)
        return parse_service_url(f"{parts.scheme}://{parts.netloc}/").key


_FIXED = [
    *map(KnownIndex, FIXED.values()),
    KnownIndex("https://pypi.org/"),
    KnownIndex("https://test.pypi.org/"),
]


class KnownIndexes:
    """The known indexes. `hosts` are hosts of indexes by the user's word.

    Raises CommandError if one of `hosts` is not a host.
    """

    def __init__(self, indexes: Iterable[KnownIndex] = (), hosts: Iterable[str] = ()) -> None:
        self.indexes = list(indexes)
        self._roots: dict[str, dict[str, None]] = {}
        for index in [*_FIXED, *self.indexes]:
            self._roots.setdefault(urlsplit(index.url).hostname or "", {})[index.root] = None
        for host in hosts:
            self._roots.setdefault(host.lower(), {_host_key(host): None})

    def roots(self, host: str) -> list[str]:
        """Return the keys of a whole host, one for each port of an index; [] for other hosts."""
        return list(self._roots.get(host.lower(), ()))

    def key_of_name(self, name: str) -> str | None:
        """Return the key for uploads to the index of this name, None for an unknown one."""
        if name in FIXED:
            return FIXED[name]
        for index in self.indexes:
            if index.name and env_form(index.name) == env_form(name):
                return strip_index_suffix(index.key)
        return None


def _host_key(host: str) -> str:
    """Return the key of a whole host. The error does not quote it, since it may be a secret."""
    try:
        if not any(mark in host for mark in "/:@?#"):
            return parse_service_url(f"https://{host}/").key
    except ServiceError:
        pass  # raised below: the exception may hold the value
    raise CommandError("`--host` is not a host.", "name it as the netrc does, without a port")
