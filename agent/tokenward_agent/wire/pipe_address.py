"""The agent's own pipe on Windows: only one agent has it, and only its user can open it.

The name has the user's SID, so agents of two users do not collide. Any user can create a pipe with
any free name: if the name is taken, the agent does not serve, and a client checks the owner of the
pipe before it sends anything. An agent holds a mutex of the same name while it lives: a new agent
tells by it another agent of its user from a stranger's pipe. The kernel removes both when the last
handle closes, so nothing stale is left.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

assert sys.platform == "win32"

import os
from typing import cast

from tokenward_agent.failure import Failure
from tokenward_agent.windows.pipe import PipeListener
from tokenward_agent.windows.security import Descriptor, single_user_sddl
from tokenward_agent.wire.listener import AlreadyRunning, ListenAddressError
from tokenward_os.windows import calls
from tokenward_os.windows.calls import own_sid
from tokenward_protocol import places

if TYPE_CHECKING:
    import socket


def address(_state: str, directory: str, ordinary: str) -> str:
    """Return the default address of the agent of a credentials directory. Raises ListenAddressError."""
    try:
        return places.pipe_name(own_sid(), directory, ordinary)
    except OSError as error:
        raise ListenAddressError(
            f"Windows does not say who this user is: {error.strerror}."
        ) from None


def own_directory(path: str) -> str:
    """Create `path` if it is missing; return it. Raises ListenAddressError if it is not a directory.

    A link is refused, too. The folder above, the user's own, decides who may open it.
    """
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise ListenAddressError(
            f"The directory {path} cannot be made: {error.strerror}."
        ) from None
    if os.path.islink(path) or not os.path.isdir(path):
        raise ListenAddressError(f"{path} is not a directory.")
    return path


class PipeAddress:
    """One address, held by this process from `__init__` to `release`."""

    def __init__(self, path: str, *_others: object) -> None:
        """Take the name; no service manager hands pipes over, and no variable names another one.

        Raises AlreadyRunning if another agent holds the address, ListenAddressError if it cannot be
        used.
        """
        self.path = path
        if not path.startswith(places.PIPES):
            raise ListenAddressError(
                f"The address {path} is not the name of a pipe, {places.PIPES}NAME."
            )
        self.handed = False
        try:
            descriptor = Descriptor(single_user_sddl(own_sid()))
            self._lock = calls.create_mutex(path.removeprefix(places.PIPES), descriptor.attributes)
            if self._lock is None:
                raise AlreadyRunning("this address")
            self._pipe = PipeListener(path, descriptor)
        except OSError as error:
            raise ListenAddressError(f"The pipe {path} cannot be made: {error.strerror}.") from None
        self.listener = cast("socket.socket", self._pipe)  # it has the methods that the server uses

    def claim(self) -> None:
        """Do nothing: the name of a pipe depends on no variable."""

    def is_valid(self) -> bool:
        """Return True: no other process can take the name of an open pipe."""
        return True

    def release(self) -> None:
        """Release the address."""
        self.listener.close()
        calls.close_handle(self._lock)


class SharedAddress:
    """Not available on Windows: a share is for other users and hosts, a pipe for one user."""

    listener: socket.socket

    def __init__(self, path: str, *, for_others: bool) -> None:  # noqa: ARG002 - as the Unix one's
        """Raise Failure."""
        raise Failure("refused", "A share is a Unix socket, which agents on Windows do not have.")

    def is_valid(self) -> bool:
        """Return False."""
        return False

    # Never reached: `__init__` raises.
    def release(self) -> None:
        """Give back nothing."""
