"""One run: a command, the indexes that it may use, and the relay that speaks to them.

A run belongs to the process that asked for it, which then becomes the command. The kernel's handle
on that process tells when it ends, and that no later process with its number is taken for it. A run
ends with its command, with its relay, with a lock that the user orders, and after a day at the latest.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Protocol

    from tokenward_agent.peer.process import Process
    from tokenward_agent.relay.process import RelayProcess
    from tokenward_protocol.packing import Value

    class AnswersRun(Protocol):
        """Answers the questions of a relay."""

        def stop(self) -> None:
            """End every open question; nothing more is answered."""

        def forget(self) -> None:
            """Record what is being sent as unknown."""


class RunProcess:
    """The process of a run's command. Raises OSError if it has ended."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self._pidfd = os.pidfd_open(process.pid)

    def is_alive(self) -> bool:
        """Tell whether it still runs; False once it is let go of."""
        if self._pidfd < 0:
            return False
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

    def tell(self, text: str) -> None:
        """Show the user a line where the command shows its errors."""
        with contextlib.suppress(OSError):
            shown = self.open_stderr()
            try:
                if self.is_alive():  # else the number may be another's by now
                    os.write(shown, f"{text}\n".encode())
            finally:
                os.close(shown)

    def close(self) -> None:
        """Stop watching."""
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1


class OpenRun:
    """An open run; `folder` is its own, for the certificates that CMD reads, and goes with it.

    `facts` are what `auth status` shows of it; `timer` is the next look at how long it has lasted.
    """

    def __init__(
        self, relay: RelayProcess, folder: str, facts: dict[str, Value], answers: AnswersRun
    ) -> None:
        self.relay = relay
        self.facts = facts
        self.answers = answers
        self.timer: asyncio.TimerHandle | None = None
        self._folder = folder

    async def end(self) -> None:
        """End the relay and remove the folder."""
        if self.timer is not None:
            self.timer.cancel()
        await end_relay(self.relay, self.answers)
        import shutil

        shutil.rmtree(self._folder, ignore_errors=True)


async def end_relay(relay: RelayProcess, answers: AnswersRun) -> None:
    """End a relay and its questions, and record what became of each upload."""
    answers.stop()
    await relay.end()
    answers.forget()


class Endings:
    """What is being ended; it can be waited for."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, ending: Coroutine[None, None, None]) -> None:
        """Run a coroutine that ends something."""
        self._tasks.add(task := asyncio.get_running_loop().create_task(ending))
        task.add_done_callback(self._tasks.discard)

    async def wait(self) -> None:
        """Wait for all that has begun."""
        if self._tasks:
            await asyncio.wait(self._tasks)
