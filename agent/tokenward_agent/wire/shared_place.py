"""One more socket of an agent, for a while: bound where it was asked for, and taken away with care.

Nothing but a socket that nobody answers makes way for it. Who connects is judged by their uid, so
where others are to come in the socket lets everybody try; its folder is whoever's asked for it. No
error holds the path: it is what somebody typed.
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
    """A bound socket at `path`; `release` gives it back."""

    def __init__(self, path: str, *, for_others: bool) -> None:
        """Bind. Raises PlaceError if that cannot be."""
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        umask = os.umask(0o111 if for_others else 0o177)
        try:
            clear(path)
            self.listener.bind(path)
            self._identity = identity(path)
        except AlreadyRunning:
            self.listener.close()
            raise PlaceError("Somebody answers at that socket already.") from None
        except OSError as error:
            self.listener.close()
            why = error.strerror or str(error)
            raise PlaceError(f"The shared socket cannot be made: {why}.") from None
        except PlaceError:
            self.listener.close()
            raise PlaceError("What is in that place already is no socket.") from None
        finally:
            os.umask(umask)

    def still_ours(self) -> bool:
        """Tell whether the socket that is there is the one that was made here."""
        return self._identity is not None and identity(self.path) == self._identity

    def release(self) -> None:
        """Take the socket away if it is still ours.

        Where its folder does not let go of it any more it stays, and answers nobody.
        """
        if self.still_ours():
            with contextlib.suppress(OSError):
                os.unlink(self.path)
