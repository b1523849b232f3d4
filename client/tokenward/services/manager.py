"""A service manager for `auth agent install`: its interface, and the program that controls it."""

from __future__ import annotations

import subprocess
from typing import NamedTuple, Protocol

from tokenward.errors import CommandError
from tokenward_protocol.light import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Job(NamedTuple):
    """A job for a manager: `command`, with an absolute program, is to listen at `socket`.

    `variables` are those of the environment that choose directories, without HOME.
    """

    command: list[str]
    socket: str
    variables: dict[str, str]


class InstalledService(NamedTuple):
    """An installed service: its `files`, and its `socket`.

    `listening`: connecting to that socket starts the agent. `running`: it has been started. A
    `socket` of "" means that it is started when the user logs on, and then left alone.
    """

    files: list[str]
    socket: str
    listening: bool
    running: bool


class Manager(Protocol):
    """A service manager of this system."""

    @property
    def name(self) -> str:
        """Its name in messages and in JSON."""
        ...

    def install(self, job: Job) -> list[str]:
        """Write the files, enable and start it; return the written files, [] if nothing changed.

        Raises CommandError, and leaves nothing behind, if a file of another author is in the way or
        the manager refuses.
        """
        ...

    def uninstall(self) -> list[str]:
        """Stop, disable and remove it; return the removed files. Raises CommandError."""
        ...

    def service(self) -> InstalledService | None:
        """Return the installed service, or None."""
        ...


def not_ours_error(path: str) -> CommandError:
    """Return the error for what is in the way of an installation, and of another author."""
    return CommandError(
        f"{path} exists, and `auth agent install` did not write it.",
        "move it away and install again",
    )


class Control(Record):
    """`command` with its options, `name` for messages, and a limit of `seconds` for each call.

    `environ` is its environment, None for ours. `look` is the hint if it fails, `stuck` the hint if
    it did not end in time.
    """

    command: list[str]
    name: str
    seconds: int
    look: str
    stuck: str = ""
    environ: Mapping[str, str] | None = None

    def tell(self, *arguments: str) -> None:
        """Run a command. Raises CommandError if it fails."""
        answer = self.ask(*arguments)
        if answer.returncode != 0:
            said = answer.stderr.strip().splitlines()
            why = f": {said[0].rstrip('.')}" if said else ""
            raise CommandError(f"`{self.name} {arguments[0]}` failed{why}.", self.look)

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a query and return its result. Raises CommandError if it does not run or end."""
        try:
            return subprocess.run(
                [*self.command, *arguments],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=self.seconds,
            )
        except subprocess.TimeoutExpired:
            raise CommandError(
                f"`{self.name} {arguments[0]}` did not end in time.", self.stuck
            ) from None
        except OSError as error:
            program = self.name.partition(" ")[0]
            raise CommandError(f"`{program}` cannot be run: {error.strerror}.") from None
