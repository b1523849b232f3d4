"""Find the projects that a fetch is for, from the requester's command line and folder.

Most command lines name them. Some have to be compared with a folder, whose disk may not answer: so
a thread looks, and the fetch waits at most `SECONDS`. What is unknown by then counts as unknown. At
most `MAX_AT_ONCE` threads look; they are daemons, so a stuck one does not keep the agent from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading

from tokenward_agent.peer.evidence import NOTHING, find_upload, needs_disk, projects_of
from tokenward_agent.peer.peer import Peer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from tokenward_agent.peer.evidence import Evidence, FolderReader
    from tokenward_agent.peer.publishing import Upload
    from tokenward_agent.wire.request import Request

SECONDS: Final = 0.5
MAX_AT_ONCE: Final = 4


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
