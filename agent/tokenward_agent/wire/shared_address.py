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

from tokenward_agent.wire.listen_address import AlreadyRunning, ListenAddressError
from tokenward_agent.wire.socket_address import file_identity, remove_dead_socket


class SharedAddress:
    """A bound socket at `path`; `release` removes it."""

    def __init__(self, path: str, *, for_others: bool) -> None:
        """Bind the socket. Raise ListenAddressError if that is impossible."""
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        umask = os.umask(0o111 if for_others else 0o177)
        try:
            remove_dead_socket(path)
            self.listener.bind(path)
            self._identity = file_identity(path)
        except AlreadyRunning:
            self.listener.close()
            raise ListenAddressError("Another process listens at this socket already.") from None
        except OSError as error:
            self.listener.close()
            why = error.strerror or str(error)
            raise ListenAddressError(f"The shared socket cannot be made: {why}.") from None
        except ListenAddressError:
            self.listener.close()
            raise ListenAddressError("The file at the socket's path is not a socket.") from None
        finally:
            os.umask(umask)

    def is_valid(self) -> bool:
        """Tell whether the socket at the path is the one that was made here."""
        return self._identity is not None and file_identity(self.path) == self._identity

    def release(self) -> None:
        """Remove the socket if it is still this one.

        If its folder no longer allows that, the file stays and does not answer.
        """
        if self.is_valid():
            with contextlib.suppress(OSError):
                os.unlink(self.path)
