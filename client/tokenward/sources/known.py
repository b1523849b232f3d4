"""The known indexes, which give a host or a name in another tool's file its meaning."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from tokenward.errors import CommandError
from tokenward.settings.index_definition import env_form
from tokenward_protocol.urls import FIXED, ServiceError, parse_service_url, strip_index_suffix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


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
