"""The projects that a publishing command is about, where that is certain, and the evidence.

- *files*: every distribution file on the command line names its project, and the line has no other
  argument. The projects are all that are named.
- *pyproject*: the command sends what it has built, and the `dist` beside the project's
  `pyproject.toml` holds files of that project and of no other.

In every other case the projects are unknown, also if a file's name is not exactly as the
specifications allow: source-distribution-format, binary-distribution-format, name-normalization and
version-specifiers (the normal form), all at packaging.python.org under /specifications. A token
attenuated to a guess would break a correct upload; without a guess the upload works as before. Two
projects at once, the root of a monorepo, files from elsewhere and a folder full of artifacts all go
through.

Pure: `folders` reads the folders; it returns their content, or None where it cannot tell.
"""

from __future__ import annotations

import fnmatch
import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from tokenward_agent.peer.publishing import is_pattern, upload_of
from tokenward_protocol.caveats import normalise_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenward_agent.peer.publishing import Upload
    from tokenward_agent.peer.requester import Requester

    class FolderReader(Protocol):
        """What can be seen on the disk."""

        def names(self, folder: str) -> tuple[str, ...] | None:
            """Return the names of the files in a folder; None if they cannot be determined."""
            ...

        def project(self, folder: str) -> str | None:
            """Return the project that the folder's pyproject.toml names, or None."""
            ...


_NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._]*[A-Za-z0-9])?"
_VERSION: Final = (
    r"(?:[0-9]+!)?[0-9]+(?:\.[0-9]+)*(?:(?:a|b|rc)[0-9]+)?(?:\.post[0-9]+)?(?:\.dev[0-9]+)?"
    r"(?:\+[a-z0-9]+(?:[._][a-z0-9]+)*)?"
)
_SDIST: Final = re.compile(rf"({_NAME})-{_VERSION}\.tar\.gz")
_TAG: Final = r"[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*"
_WHEEL: Final = re.compile(
    rf"({_NAME})-{_VERSION}(?:-[0-9][A-Za-z0-9_.]*)?-{_TAG}-{_TAG}-{_TAG}\.whl"
)
_BESIDE: Final = re.compile(r"(.+\.(?:tar\.gz|whl))(?:\.asc|\.[a-z]+\.attestation)")


MOST_PROJECTS: Final = 32  # an upload of more projects is a mirror, not a release


def project_of(file: str) -> str | None:
    """Return the normalised project of a file by its name, None if the name is not valid.

    A signature or attestation belongs to the project of the file that it is for.
    """
    beside = _BESIDE.fullmatch(file)
    name = file if beside is None else beside[1]
    found = _SDIST.fullmatch(name) or _WHEEL.fullmatch(name)
    return None if found is None else normalise_name(found[1])


class Evidence(NamedTuple):
    """The known projects, normalised and sorted, and the evidence: `files`, `pyproject`."""

    projects: tuple[str, ...]
    word: str


NOTHING: Final = Evidence((), "")  # nothing is known


def find_upload(requester: Requester) -> Upload | None:
    """Return what the tool behind a request publishes, None if it is uncertain."""
    tool = requester.tool
    return None if tool is None else upload_of(tool)


def needs_disk(sent: Upload) -> bool:
    """Tell whether only the disk can say what a command sends."""
    return bool(sent.built) or any(map(is_pattern, sent.files))


def projects_of(sent: Upload | None, folders: FolderReader | None) -> Evidence:
    """Return what is known of an upload; without `folders`, only from its command line."""
    if sent is None or (folders is None and needs_disk(sent)):
        return NOTHING
    if sent.files:
        return _evidence_of("files", _expand(sent.files, folders))
    if folders is None:
        return NOTHING
    project = folders.project(os.path.dirname(sent.built))
    found = _evidence_of("pyproject", folders.names(sent.built))
    return (
        found if project is not None and found.projects == (normalise_name(project),) else NOTHING
    )


def _expand(paths: tuple[str, ...], folders: FolderReader | None) -> list[str] | None:
    """Return the files' names, with patterns expanded as the tool itself would."""
    names: list[str] = []
    for path in paths:
        folder, name = os.path.split(path)
        if not is_pattern(path):
            names.append(name)
            continue
        held = None if folders is None or is_pattern(folder) else folders.names(folder)
        matching = fnmatch.filter(held or (), name)
        if not matching or "**" in name:
            return None
        names += matching
    return names


def _evidence_of(word: str, names: Iterable[str] | None) -> Evidence:
    """Return the projects of all these files, NOTHING if the name of one is not valid."""
    found = {project_of(name) for name in names or ()}
    known = sorted(project for project in found if project is not None)
    if len(known) != len(found) or not 0 < len(known) <= MOST_PROJECTS:
        return NOTHING
    return Evidence(tuple(known), word)
