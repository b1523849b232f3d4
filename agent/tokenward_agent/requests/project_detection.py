"""Find the projects that a fetch is for, from the requester's command line and folder.

Most command lines name them. Some have to be compared with a folder, whose disk may not answer: so
a thread looks, and the fetch waits at most `SECONDS`. What is unknown by then counts as unknown. At
most `MAX_AT_ONCE` threads look; they are daemons, so a stuck one does not keep the agent from ending.
They pass over a file that is larger than a project's own, is not a plain file, or cannot be read or
parsed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import threading
from typing import TYPE_CHECKING, Any, Final

from tokenward_agent.peer.evidence import NOTHING, find_upload, needs_disk, projects_of
from tokenward_agent.peer.peer import Peer
from tokenward_os.files import SETTINGS
from tokenward_protocol.caveats import normalise_name

if TYPE_CHECKING:
    from tokenward_agent.peer.evidence import Evidence, FolderReader
    from tokenward_agent.peer.publishing import Upload
    from tokenward_agent.wire.request import Request

MOST_FILES: Final = 1000
PYPROJECT_BYTES: Final = 256 * 1024


SECONDS: Final = 0.5
MAX_AT_ONCE: Final = 4


class ProjectFolders:
    """The real disk."""

    def names(self, folder: str) -> tuple[str, ...] | None:
        """Return the names of the plain files in a folder, hidden ones excluded.

        None if the folder holds anything else, holds too much, or cannot be read.
        """
        found: list[str] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue  # no pattern matches it, and `dist/.gitignore` is common
                    if not entry.is_file() or len(found) == MOST_FILES:
                        return None
                    found.append(entry.name)
        except OSError:
            return None
        return tuple(found)

    def project(self, folder: str) -> str | None:
        """Return the name in a folder's pyproject.toml, or None."""
        import tomllib

        try:
            values = tomllib.loads(_text(os.path.join(folder, "pyproject.toml")))
            poetry = _table(_table(values.get("tool")).get("poetry"))
            name: Any = _table(values.get("project")).get("name", poetry.get("name"))
            return str(name) if normalise_name(name) else None
        except (OSError, ValueError, TypeError, RecursionError):
            return None


def _text(path: str) -> str:
    file = os.open(path, os.O_RDONLY | SETTINGS)
    with open(file, "rb") as stream:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_size > PYPROJECT_BYTES:
            raise ValueError("not a project's own file")
        return stream.read(PYPROJECT_BYTES).decode()


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


class ProjectDetector:
    """Finds the projects, with `folders` for files on the disk."""

    def __init__(self, folders: FolderReader) -> None:
        self._folders = folders
        self._looking = 0

    def try_detect(self, request: Request) -> Evidence | None:
        """Return the evidence of the command line; None if the disk has to be read."""
        sent = _find_upload(request)
        return None if sent is not None and needs_disk(sent) else projects_of(sent, None)

    async def detect(self, request: Request) -> Evidence:
        """Return the evidence, after reading the disk if needed."""
        sent = _find_upload(request)
        if sent is None or not needs_disk(sent):
            return projects_of(sent, None)
        if self._looking == MAX_AT_ONCE:
            return NOTHING
        loop = asyncio.get_running_loop()
        seen: asyncio.Future[Evidence] = loop.create_future()

        def finish(found: Evidence) -> None:
            self._looking -= 1
            if not seen.done():
                seen.set_result(found)

        def look() -> None:
            try:
                found = projects_of(sent, self._folders)
            except Exception:  # noqa: BLE001 - whatever lies there, it says nothing then
                found = NOTHING
            with contextlib.suppress(RuntimeError):  # the agent has ended meanwhile
                loop.call_soon_threadsafe(finish, found)

        self._looking += 1
        threading.Thread(target=look, daemon=True).start()
        try:
            return await asyncio.wait_for(seen, SECONDS)
        except TimeoutError:
            return NOTHING


def _find_upload(request: Request) -> Upload | None:
    return find_upload(request.peer.requester) if isinstance(request.peer, Peer) else None
