"""The files in which other tools keep credentials in plain text, and their formats.

A module for each kind of file has two functions, and reads the file as its own tool does:

- `files(environ, home)`: the paths of the user's own files of this kind, which may not exist;
- `look(text, path, known)`: the credentials in such a file, each with its span of text.

Nothing here writes. `system_keyring` is a source without a file.
"""

from __future__ import annotations

from tokenward.sources import netrc_file, pip, poetry, pypirc_file, uv_store
from tokenward.sources.document import Document, open_document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tokenward.sources.known import KnownIndexes

FILES = {
    "pypirc": pypirc_file,
    "uv": uv_store,
    "netrc": netrc_file,
    "poetry": poetry,
    "pip": pip,
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
