"""Indexes that are known: what a host or a name in another tool's file means."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from tokenward.errors import CommandError
from tokenward.settings.index_definition import env_form
from tokenward_protocol.urls import FIXED, ServiceError, parse, strip_index_suffix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Index(NamedTuple):
    """An index: its URL without user info, and under which name and user name it is known."""

    url: str
    name: str | None = None
    username: str | None = None

    @property
    def key(self) -> str:
        """The service that it is."""
        return parse(self.url).key

    @property
    def root(self) -> str:
        """The service that is all of its host."""
        parts = urlsplit(self.url)
        return parse(f"{parts.scheme}://{parts.netloc}/").key


_FIXED = [*map(Index, FIXED.values()), Index("https://pypi.org/"), Index("https://test.pypi.org/")]


class Known:
    """What is known. `hosts` are hosts of indexes because the user says so.

    Raises CommandError for one of `hosts` that is none.
    """

    def __init__(self, indexes: Iterable[Index] = (), hosts: Iterable[str] = ()) -> None:
        self.indexes = list(indexes)
        self._roots: dict[str, dict[str, None]] = {}
        for index in [*_FIXED, *self.indexes]:
            self._roots.setdefault(urlsplit(index.url).hostname or "", {})[index.root] = None
        for host in hosts:
            self._roots.setdefault(host.lower(), {_whole(host): None})

    def roots(self, host: str) -> list[str]:
        """Return the keys of all of a host, one for each port of an index; [] for other hosts."""
        return list(self._roots.get(host.lower(), ()))

    def named(self, name: str) -> str | None:
        """Return the key that uploads to the index of this name use, None for an unknown one."""
        if name in FIXED:
            return FIXED[name]
        for index in self.indexes:
            if index.name and env_form(index.name) == env_form(name):
                return strip_index_suffix(index.key)
        return None


def _whole(host: str) -> str:
    """Return the key of all of a host. It is not quoted where it is none, since it may be a secret."""
    try:
        if not any(mark in host for mark in "/:@?#"):
            return parse(f"https://{host}/").key
    except ServiceError:
        pass  # raised below: the exception may hold what was given
    raise CommandError("`--host` got what is no host.", "name it as the netrc does, without a port")
