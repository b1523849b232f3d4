"""The loop of Windows, which waits for pipes as the loops of other systems wait for sockets.

asyncio's own loop there has no `add_reader`: it moves bytes into objects of its own, but the agent
must have them in locked memory. So this loop begins to read zero bytes, which completes once data
is there; the callback then reads it. Nothing of asyncio is replaced.

`add_writer` is missing: a pipe takes an answer at once (pipe.py).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

assert sys.platform == "win32"

import asyncio
import contextlib
from asyncio.windows_events import IocpProactor

from tokenward_agent.windows.pipe import ENDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward_agent.windows.pipe import Pipe, PipeListener


class PipeLoop(asyncio.ProactorEventLoop):
    """A proactor's loop with `add_reader` for pipes and their listeners."""

    def __init__(self) -> None:
        self._iocp = IocpProactor()
        super().__init__(self._iocp)
        self._readers: dict[int, asyncio.Task[None]] = {}

    def add_reader(  # type: ignore[override]  # any callable with its arguments
        self, fd: Any, callback: Callable[..., Any], *args: Any
    ) -> None:
        """Call back whenever the end with this number has data, until removed."""
        self.remove_reader(fd)
        watch = self._watch(fd, ENDS[fd], callback, args)
        self._readers[fd] = self.create_task(watch)

    def remove_reader(self, fd: Any) -> bool:
        """Stop waiting for that end; return whether a reader was there."""
        reader = self._readers.pop(fd, None)
        if reader is None:
            return False
        if reader is not asyncio.current_task(self):
            reader.cancel()
        return True

    def remove_writer(self, fd: Any) -> bool:  # noqa: ARG002 - no task ever waits to write
        """Return that no writer was there."""
        return False

    async def _watch(
        self, number: int, end: Pipe | PipeListener, callback: Callable[..., Any], args: Any
    ) -> None:
        me = asyncio.current_task(self)
        while self._readers.get(number) is me:
            with contextlib.suppress(OSError):  # it is gone: the callback's read reports it
                await end.wait(self._iocp)
            try:
                callback(*args)
            except Exception as error:  # noqa: BLE001 - the loop treats every callback so
                self.call_exception_handler({"message": "A reader failed.", "exception": error})
