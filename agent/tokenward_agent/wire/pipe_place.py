"""The agent's own pipe: that nobody else is there, and that it is ours.

Its name holds the user's SID, so that two users' agents are never in each other's way. Names of
pipes belong to whoever comes first, of all users: where the name is taken, nothing is served, and a
client looks at whose the pipe is before it says anything. An agent holds a mutex of that name for
as long as it lives, by which the next one tells an agent of its own user's from a stranger's pipe.
Nothing lies about afterwards: both end with their last handle, however the agent ends.
"""

from __future__ import annotations

import sys

assert sys.platform == "win32"

import os
from typing import cast

from tokenward_agent.failure import Failure
from tokenward_agent.windows.pipe import PipeListener
from tokenward_agent.windows.security import Descriptor, one_user
from tokenward_agent.wire.place import AlreadyRunning, PlaceError
from tokenward_os.windows import calls
from tokenward_os.windows.owners import own_sid
from tokenward_protocol import places

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket


def address(_state: str, directory: str, ordinary: str) -> str:
    """Return where the agent of a credentials directory listens, by itself. Raises PlaceError."""
    try:
        return places.pipe_name(own_sid(), directory, ordinary)
    except OSError as error:
        raise PlaceError(f"Windows does not say who this user is: {error.strerror}.") from None


def own_directory(path: str) -> str:
    """Make `path` if it is missing; return it. Raises PlaceError if it is a link or no directory.

    Who may open it is what the folder above says: all of ours lie below the user's own.
    """
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise PlaceError(f"The directory {path} cannot be made: {error.strerror}.") from None
    if os.path.islink(path) or not os.path.isdir(path):
        raise PlaceError(f"{path} is not a directory.")
    return path


class PipePlace:
    """One address, held by this process from `__init__` to `release`."""

    def __init__(
        self,
        path: str,
        _handed: socket.socket | None = None,
        _state: str | None = None,
        _directory: str | None = None,
    ) -> None:
        """Take the name; no service manager hands pipes over, and no variable says another one.

        Raises AlreadyRunning if another agent holds the address, PlaceError if it cannot be had.
        """
        self.path = path
        if not path.startswith(places.PIPES):
            raise PlaceError(f"The address {path} is not the name of a pipe, {places.PIPES}NAME.")
        self.handed = False
        try:
            descriptor = Descriptor(one_user(own_sid()))
            self._lock = calls.mutex(path.removeprefix(places.PIPES), descriptor.attributes)
            if self._lock is None:
                raise AlreadyRunning("this address")
            self._pipe = PipeListener(path, descriptor)
        except OSError as error:
            raise PlaceError(f"The pipe {path} cannot be made: {error.strerror}.") from None
        self.listener = cast("socket.socket", self._pipe)  # it is used as one

    def claim(self) -> None:
        """Claim nothing: the name of a pipe depends on no variable."""

    def still_ours(self) -> bool:
        """Tell that clients find this agent: nobody can take the name of a pipe that is open."""
        return True

    def release(self) -> None:
        """Let go of the address."""
        self.listener.close()
        calls.close_handle(self._lock)


class SharedPlace:
    """What there is none of: a share is for other users and other hosts, and a pipe for one user."""

    listener: socket.socket

    def __init__(self, path: str, *, for_others: bool) -> None:  # noqa: ARG002 - as the Unix one's
        """Refuse. Raises Failure."""
        raise Failure("refused", "A share is a Unix socket, which an agent on Windows has not.")

    def still_ours(self) -> bool:
        """Tell that there is none."""
        return False

    def release(self) -> None:
        """Give back nothing."""
