"""What an agent has of the system that it runs on: its loop, its signals, its descriptors."""

from __future__ import annotations

import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

if sys.platform == "win32":
    from tokenward_agent.windows.loop import PipeLoop

    def new_loop() -> asyncio.AbstractEventLoop:
        """Return a loop that waits for pipes."""
        return PipeLoop()

    def when_ended(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
        """Call back when somebody ends this process politely: by Ctrl-C or Ctrl-Break."""
        for number in (signal.SIGINT, signal.SIGBREAK):
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(callback))

    def descriptors() -> int:
        """Return how many handles this process may have at once."""
        return 1 << 24  # all that there can be: learn.microsoft.com, "kernel objects"

    def raise_descriptors(wanted: int) -> None:
        """Let this process have `wanted` handles, which it may anyway."""

else:
    import asyncio
    import contextlib
    import resource

    def new_loop() -> asyncio.AbstractEventLoop:
        """Return a loop that waits for sockets."""
        return asyncio.new_event_loop()

    def when_ended(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
        """Call back when somebody ends this process politely."""
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, callback)
        # Where the starter ignored it, the kernel would reap workers before they are waited for.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def descriptors() -> int:
        """Return how many descriptors this process may have at once."""
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]

    def raise_descriptors(wanted: int) -> None:
        """Let this process have `wanted` descriptors at once, as far as it may."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            with contextlib.suppress(OSError, ValueError):  # macOS has a lower limit of its own
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
