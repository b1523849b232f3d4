"""A service manager as `auth agent install` needs it: what it is given to start, and what it has."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Job(NamedTuple):
    """What a manager is to start: `command`, with an absolute program, to listen at `socket`.

    `variables` is what of the environment says where things lie, HOME apart.
    """

    command: list[str]
    socket: str
    variables: dict[str, str]


class Service(NamedTuple):
    """What is installed: its `files`, and the `socket` that it says.

    `listening`: connecting to that socket starts the agent. `running`: it has been started.
    A `socket` of "" is one that is started when the user logs on, and not looked after further.
    """

    files: list[str]
    socket: str
    listening: bool
    running: bool


class Manager(Protocol):
    """A service manager that is there."""

    @property
    def name(self) -> str:
        """What it is called, in sentences and in JSON."""
        ...

    def install(self, job: Job) -> list[str]:
        """Write what is needed, enable and start it; return the files written, [] if it was so.

        Raises CommandError, and leaves nothing behind, where somebody else's file is in the way or
        the manager refuses.
        """
        ...

    def uninstall(self) -> list[str]:
        """Stop it, disable it and take it away; return the files removed. Raises CommandError."""
        ...

    def service(self) -> Service | None:
        """Return what is installed, None if nothing is."""
        ...
