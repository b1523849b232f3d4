"""Find the projects that a fetch is for, from the requester's command line and folder.

Most command lines name them. Some have to be compared with a folder, whose disk may not answer: so
a thread looks, and the fetch waits at most `SECONDS`. What is unknown by then counts as unknown. At
most `AT_ONCE` threads look; they are daemons, so a stuck one does not keep the agent from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading

from tokenward_agent.asking.evidence import NOTHING, needs_a_look, projects_of, upload
from tokenward_agent.asking.peer import Peer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from tokenward_agent.asking.evidence import Evidence, Look
    from tokenward_agent.asking.publishing import Upload
    from tokenward_agent.wire.request import Request

SECONDS: Final = 0.5
AT_ONCE: Final = 4


class Knowing:
    """Finds the projects, with `look` for files on the disk."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._looking = 0

    def at_once(self, request: Request) -> Evidence | None:
        """Return the evidence of the command line; None if the disk has to be read."""
        sent = _upload(request)
        return None if sent is not None and needs_a_look(sent) else projects_of(sent, None)

    async def found(self, request: Request) -> Evidence:
        """Return the evidence, after reading the disk if needed."""
        sent = _upload(request)
        if sent is None or not needs_a_look(sent):
            return projects_of(sent, None)
        if self._looking == AT_ONCE:
            return NOTHING
        loop = asyncio.get_running_loop()
        seen: asyncio.Future[Evidence] = loop.create_future()

        def told(found: Evidence) -> None:
            self._looking -= 1
            if not seen.done():
                seen.set_result(found)

        def look() -> None:
            try:
                found = projects_of(sent, self._look)
            except Exception:  # noqa: BLE001 - whatever lies there, it says nothing then
                found = NOTHING
            with contextlib.suppress(RuntimeError):  # the agent has ended meanwhile
                loop.call_soon_threadsafe(told, found)

        self._looking += 1
        threading.Thread(target=look, daemon=True).start()
        try:
            return await asyncio.wait_for(seen, SECONDS)
        except TimeoutError:
            return NOTHING


def _upload(request: Request) -> Upload | None:
    return upload(request.peer.asker) if isinstance(request.peer, Peer) else None
