"""The indexes in the user's own files, by which a host or a name in another tool's file is known.

Files of projects are left out: a checkout must not cause a secret to be taken out of a netrc.
"""

from __future__ import annotations

from contextlib import suppress

from tokenward.errors import CommandError
from tokenward.sources import pip, poetry
from tokenward.sources.known import KnownIndex, KnownIndexes
from tokenward_protocol.urls import ServiceError, parse_service_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tokenward.settings.effective import Settings


def gather(
    settings: Settings, environ: Mapping[str, str], home: str, hosts: Iterable[str] = ()
) -> KnownIndexes:
    """Gather from the user's files. Raises CommandError if one of ours is malformed."""
    return KnownIndexes(_indexes(settings, environ, home), hosts)


def _indexes(settings: Settings, environ: Mapping[str, str], home: str) -> Iterator[KnownIndex]:
    for service in settings.names.by_variable().values():
        if not service.from_project:
            user = service.default_username
            yield KnownIndex(service.publish_url, service.name, user)
            yield KnownIndex(service.url, service.name, user)
    named: dict[str, str] = {}
    for path in poetry.files(environ, home):
        with suppress(CommandError):  # reported when Poetry's secrets are read
            named |= poetry.repositories(path)
    others = [*settings.unnamed_indexes, *pip.indexes(environ, home)]
    for name, url in [*named.items(), *((None, url) for url in others)]:
        with suppress(ServiceError):
            parsed = parse_service_url(url)
            yield KnownIndex(parsed.url, name, parsed.username)
