"""A further socket of an agent, for a while: bound where the user asked, and removed with care.

Only a socket without a listener is replaced. Peers are judged by their uid, so a socket for other
users is open to all; the user chose its folder. No error holds the path: the user typed it.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import contextlib
import os
import socket

from tokenward_agent.wire.place import AlreadyRunning, PlaceError
from tokenward_agent.wire.socket_place import clear, identity


class SharedPlace:
    """A bound socket at `path`; `release` removes it."""

    def __init__(self, path: str, *, for_others: bool) -> None:
        """Bind the socket. Raise PlaceError if that is impossible."""
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        umask = os.umask(0o111 if for_others else 0o177)
        try:
            clear(path)
            self.listener.bind(path)
            self._identity = identity(path)
        except AlreadyRunning:
            self.listener.close()
            raise PlaceError("Another process listens at this socket already.") from None
        except OSError as error:
            self.listener.close()
            why = error.strerror or str(error)
            raise PlaceError(f"The shared socket cannot be made: {why}.") from None
        except PlaceError:
            self.listener.close()
            raise PlaceError("The file at the socket's path is not a socket.") from None
        finally:
            os.umask(umask)

    def still_ours(self) -> bool:
        """Tell whether the socket at the path is the one that was made here."""
        return self._identity is not None and identity(self.path) == self._identity

    def release(self) -> None:
        """Remove the socket if it is still this one.

        If its folder no longer allows that, the file stays and does not answer.
        """
        if self.still_ours():
            with contextlib.suppress(OSError):
                os.unlink(self.path)
