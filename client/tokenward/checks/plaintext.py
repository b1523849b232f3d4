"""Where credentials for indexes lie in plain text, named by place, never by value.

The files are those that `auth import` reads. A file that other users can read is a problem. A file
that only its owner can read is a warning: every program of the user and every backup has it.
"""

from __future__ import annotations

import os
import shlex
import stat

from tokenward import sources
from tokenward.checks.finding import ok, problem, warning
from tokenward.errors import CommandError
from tokenward.sources.document import open_document
from tokenward.ui.formatting import join_words
from tokenward_os.files import open_to_others

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tokenward.checks.finding import Finding
    from tokenward.sources.known import KnownIndexes

CHECK = "plain text"


def findings(environ: Mapping[str, str], home: str, known: KnownIndexes) -> Iterator[Finding]:
    """Examine the files of other tools; `known` are the user's indexes."""
    found = False
    for name, source in sources.FILES.items():
        for path in sources.paths(name, environ, home):
            try:
                document = open_document(name, path, known, source.look)
            except CommandError as error:
                yield warning(CHECK, str(error), error.hint or f"`ls -l {shlex.quote(path)}`")
                continue
            places = [one.place for one in document.found if not one.foreign] if document else []
            if places:
                found = True
                yield _finding(name, path, list(dict.fromkeys(places)))
    if not found:
        names = join_words(list(sources.FILES))
        yield ok(CHECK, f"The files of {names} hold no credential for an index.")


def _finding(source: str, path: str, places: list[str]) -> Finding:
    message = f"{path} holds the secret of {join_words(places)} in plain text"
    mode = stat.S_IMODE(os.stat(path).st_mode)
    if open_to_others(mode):
        return problem(
            CHECK,
            f"{message}, and other users can read it (mode {mode:o}).",
            f"`chmod 600 {shlex.quote(path)}`, then `auth import {source} --remove`",
        )
    return warning(CHECK, f"{message}.", f"`auth import {source} --remove`")
