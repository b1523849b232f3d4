"""The files in which other tools keep credentials in plain text, and their formats.

`gather` collects the indexes in the user's own files, by which a host or a name in another tool's
file is known. Files of projects are left out: a checkout must not cause a secret to be taken out of
a netrc. `system_keyring` is a source without a file. Nothing here writes.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from tokenward.errors import CommandError
from tokenward.sources import ini_files, netrc_file, toml_files
from tokenward.sources.document import Document, open_document
from tokenward.sources.found import KnownIndex, KnownIndexes
from tokenward_protocol.urls import ServiceError, parse_service_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tokenward.settings.effective import Settings
    from tokenward.sources.found import ForeignCredential


class Kind(NamedTuple):
    """A kind of file, which is read as its own tool does.

    `files(environ, home)` returns the paths of the user's own files, which may not exist;
    `look(text, path, known)` the credentials in such a file, each with its span of text.
    """

    files: Callable[[Mapping[str, str], str], list[str]]
    look: Callable[[str, str, KnownIndexes], list[ForeignCredential]]


FILES = {
    "pypirc": Kind(ini_files.pypirc_files, ini_files.look_in_pypirc),
    "uv": Kind(toml_files.uv_files, toml_files.look_in_uv),
    "netrc": Kind(netrc_file.files, netrc_file.look),
    "poetry": Kind(toml_files.poetry_files, toml_files.look_in_poetry),
    "pip": Kind(ini_files.pip_files, ini_files.look_in_pip),
}
"""The kinds of file, under their names in `auth import`."""

KEYRING = "keyring"

NAMES = (*FILES, KEYRING)


def paths(source: str, environ: Mapping[str, str], home: str) -> list[str]:
    """Return the paths of a source's files, each once."""
    return list(dict.fromkeys(FILES[source].files(environ, home)))


def documents(
    source: str, environ: Mapping[str, str], home: str, known: KnownIndexes
) -> Iterator[Document]:
    """Read the existing files of a source. Raises CommandError, which quotes no file."""
    for path in paths(source, environ, home):
        if document := open_document(source, path, known, FILES[source].look):
            yield document


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
    for path in toml_files.poetry_files(environ, home):
        with suppress(CommandError):  # reported when Poetry's secrets are read
            named |= toml_files.poetry_repositories(path)
    others = [*settings.unnamed_indexes, *ini_files.pip_indexes(environ, home)]
    for name, url in [*named.items(), *((None, url) for url in others)]:
        with suppress(ServiceError):
            parsed = parse_service_url(url)
            yield KnownIndex(parsed.url, name, parsed.username)
