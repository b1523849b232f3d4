"""The agent's use of its operating system: its loop, its signals, its descriptors."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

if sys.platform == "win32":
    from tokenward_agent.windows.loop import PipeLoop

    def new_loop() -> asyncio.AbstractEventLoop:
        """Return a loop that waits for pipes."""
        return PipeLoop()

    def on_termination(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
        """Call back at Ctrl-C or Ctrl-Break."""
        for number in (signal.SIGINT, signal.SIGBREAK):
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(callback))

    def descriptor_limit() -> int:
        """Return the number of handles that this process may have."""
        return 1 << 24  # the limit of Windows: learn.microsoft.com, "kernel objects"

    def raise_descriptor_limit(wanted: int) -> None:
        """Do nothing: Windows has no lower limit."""

else:
    import asyncio
    import contextlib
    import resource

    def new_loop() -> asyncio.AbstractEventLoop:
        """Return a loop that waits for sockets."""
        return asyncio.new_event_loop()

    def on_termination(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
        """Call back at SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, callback)
        # If the parent process ignored it, the kernel would reap workers before the agent does.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def descriptor_limit() -> int:
        """Return the number of descriptors that this process may have."""
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]

    def raise_descriptor_limit(wanted: int) -> None:
        """Raise this process' limit of descriptors to `wanted`, as far as allowed."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            with contextlib.suppress(OSError, ValueError):  # macOS has a lower limit of its own
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
