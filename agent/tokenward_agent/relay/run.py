"""One run: a command, the indexes that it may use, and the relay that speaks to them.

A run belongs to the process that asked for it, which then becomes the command. The kernel's handle
on that process tells when it ends, and that no later process with its number is taken for it. A run
ends with its command, with a lock that the user orders, and after a day at the latest.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import shutil
from typing import NamedTuple

from tokenward_agent.vault.record import Login  # noqa: TC001 - NamedTuple reads its annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward_agent.peer.process import Process
    from tokenward_agent.relay.process import RelayProcess


class RunGrant(NamedTuple):
    """One index of a run: the `login` that answered, and how it was named.

    `service` is the key that was asked for, `provider` the vault, "" for any. `projects` are those
    that may be published (normalised); a grant for reading has none.
    """

    login: Login
    service: str
    provider: str
    projects: tuple[str, ...]
    publishes: bool


class RunProcess:
    """The process of a run's command. Raises OSError if it has ended."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self._pidfd = os.pidfd_open(process.pid)

    def is_alive(self) -> bool:
        """Tell whether it still runs."""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return not poll.poll(0)

    def open_stderr(self) -> int:
        """Return a descriptor of its standard error, or of /dev/null."""
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | os.O_APPEND
        with contextlib.suppress(OSError):
            return os.open(f"/proc/{self.process.pid}/fd/2", flags)
        return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)

    def watch(self, ended: Callable[[], None]) -> None:
        """Call `ended` once it has ended."""
        asyncio.get_running_loop().add_reader(self._pidfd, ended)

    def close(self) -> None:
        """Stop watching."""
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1


class OpenRun:
    """An open run; `folder` is its own, for the certificates that CMD reads, and goes with it.

    `over` ends it after a day.
    """

    def __init__(
        self,
        name: str,
        process: RunProcess,
        relay: RelayProcess,
        folder: str,
        over: asyncio.TimerHandle,
        at_end: Callable[[], None],
    ) -> None:
        self.name = name
        self.process = process
        self.relay = relay
        self._folder = folder
        self._over = over
        self._at_end = at_end

    def end(self) -> None:
        """End the relay and remove the folder; `at_end` is called behind that."""
        self._over.cancel()
        self.relay.end()
        self.process.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._at_end()
