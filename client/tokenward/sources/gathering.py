"""The indexes that the user's own files name: what a host or a name in another tool's file means.

A project's files are left out: a checkout is no reason to take a secret out of a netrc.
"""

from __future__ import annotations

from contextlib import suppress

from tokenward.errors import CommandError
from tokenward.sources import pip, poetry
from tokenward.sources.known import Index, Known
from tokenward_protocol.urls import ServiceError, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tokenward.settings.effective import Settings


def gather(
    settings: Settings, environ: Mapping[str, str], home: str, hosts: Iterable[str] = ()
) -> Known:
    """Look through the user's files. Raises CommandError for one of ours that is malformed."""
    return Known(_indexes(settings, environ, home), hosts)


def _indexes(settings: Settings, environ: Mapping[str, str], home: str) -> Iterator[Index]:
    for service in settings.names.by_variable().values():
        if not service.from_project:
            user = service.default_username
            yield Index(service.publish_url, service.name, user)
            yield Index(service.url, service.name, user)
    named: dict[str, str] = {}
    for path in poetry.files(environ, home):
        with suppress(CommandError):  # said by whoever reads Poetry's secrets
            named |= poetry.repositories(path)
    others = [*settings.unnamed_indexes, *pip.indexes(environ, home)]
    for name, url in [*named.items(), *((None, url) for url in others)]:
        with suppress(ServiceError):
            parsed = parse(url)
            yield Index(parsed.url, name, parsed.username)
