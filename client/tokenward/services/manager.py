"""The interface of a service manager for `auth agent install`: jobs and services."""

from __future__ import annotations

from typing import NamedTuple, Protocol


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
