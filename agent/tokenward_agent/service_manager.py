"""The agent and its service manager: the socket handed over, notices, and the idle exit.

systemd names a descriptor in environment variables (sd_listen_fds(3)), which are removed, so that no
child takes them for its own; launchd is called for it (launch_activate_socket(3) of macOS). It is at
most one, whatever its name. A listening socket makes this process an agent, a connected one makes it
a worker.

A notice (sd_notify(3)) is a datagram of lines, sent to the socket that ``NOTIFY_SOCKET`` names;
without that variable nothing is sent. Lines only ever say that the agent serves, ends, and is locked
or not.

An agent that its manager starts again on demand ends if no client is connected, none has been for a
set time, and it holds nothing that only the user or an index could restore.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import sys
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from tokenward_agent.clock import Clock
    from tokenward_agent.wire.server import Server

_FIRST: Final = 3  # SD_LISTEN_FDS_START

LISTENER: Final = b"Listener"  # the socket's name in the property list of launchd's job
_NO_SOCKET: Final = {errno.ESRCH, errno.ENOENT}  # not a job of launchd; no socket of this name


class InheritedError(Exception):
    """The descriptor cannot be served; the text is one sentence for the user."""


def take_socket(environ: MutableMapping[str, str]) -> socket.socket | None:
    """Return the socket that was handed to this process, or None. Raises InheritedError."""
    if sys.platform == "win32":
        return None
    numbers = _sockets_of_systemd(environ)
    if sys.platform == "darwin" and not numbers:
        numbers = sockets_of_launchd(ctypes.CDLL(None))
    if not numbers:
        return None
    if len(numbers) != 1:
        raise _too_many_error(len(numbers))
    os.set_inheritable(numbers[0], False)
    try:
        handed = socket.socket(fileno=numbers[0])
    except OSError:
        raise InheritedError("The descriptor of the service manager is not a socket.") from None
    if handed.family != socket.AF_UNIX or handed.type != socket.SOCK_STREAM:
        handed.close()
        raise InheritedError("The socket of the service manager is not a Unix stream socket.")
    return handed


def is_listening(handed: socket.socket) -> bool:
    """Tell whether this socket listens, so that this process is an agent."""
    if sys.platform != "linux":
        return True  # launchd hands over listeners only, and not every macOS has SO_ACCEPTCONN
    return bool(handed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def sockets_of_launchd(library: ctypes.CDLL) -> list[int]:
    """Return the descriptors that launchd hands over. Raises InheritedError if it refuses."""
    try:
        return activated_descriptors(library)
    except OSError as error:
        raise InheritedError(
            f"The service manager launchd does not hand over the socket: {error.strerror}."
        ) from None


def _sockets_of_systemd(environ: MutableMapping[str, str]) -> list[int]:
    meant_for = environ.pop("LISTEN_PID", "")
    count = environ.pop("LISTEN_FDS", "") or "0"
    for name in ("LISTEN_FDNAMES", "LISTEN_PIDFDID"):
        environ.pop(name, None)
    if meant_for != str(os.getpid()):
        return []
    if count not in {"0", "1"}:
        raise _too_many_error(count)
    return [_FIRST] * int(count)


def _too_many_error(count: object) -> InheritedError:
    return InheritedError(f"The service manager handed over {count} descriptors instead of one.")


def activated_descriptors(library: ctypes.CDLL, name: bytes = LISTENER) -> list[int]:
    """Return the descriptors of the sockets called `name`, [] for a process without any.

    Only a job with the key `Sockets` that launchd itself started has any, and can fetch each once;
    other processes, children of that job included, listen by themselves. `library` has the calls:
    `ctypes.CDLL(None)` on macOS. `int launch_activate_socket(const char *name, int **fds, size_t
    *cnt)` returns an error number or 0, and an array that the caller frees. Raises OSError.
    """
    numbers, count = ctypes.POINTER(ctypes.c_int)(), ctypes.c_size_t(0)
    activate = library.launch_activate_socket
    activate.restype = ctypes.c_int
    activate.argtypes = [
        ctypes.c_char_p,
        ctypes.POINTER(ctypes.POINTER(ctypes.c_int)),
        ctypes.POINTER(ctypes.c_size_t),
    ]
    failure = activate(name, ctypes.byref(numbers), ctypes.byref(count))
    if failure in _NO_SOCKET:
        return []
    if failure:
        raise OSError(failure, os.strerror(failure))
    try:
        return [numbers[place] for place in range(count.value)]
    finally:
        library.free.restype = None
        library.free.argtypes = [ctypes.c_void_p]
        library.free(numbers)


class Notices:
    """Notifies the manager that `environ` names, and removes the name from `environ`."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        address = environ.pop("NOTIFY_SOCKET", "")
        self._address = b"\0" + os.fsencode(address[1:]) if address[:1] == "@" else address
        self._status = ""

    @property
    def is_wanted(self) -> bool:
        """Whether a manager asked for notices."""
        return bool(self._address)

    def send(self, *lines: str) -> None:
        """Send a notice; a manager that does not listen misses it."""
        if sys.platform == "win32" or not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            try:
                out.connect(self._address)
                out.send("\n".join(lines).encode())
            except OSError:
                return

    def send_status(self, text: str) -> None:
        """Send the state of the agent in a word, if it changed."""
        if text != self._status:
            self._status = text
            self.send(f"STATUS={text}")

    def send_reloading(self) -> None:
        """Say that a reload has begun, which `send_ready` will end."""
        if sys.platform == "win32":
            return
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self.send("RELOADING=1", f"MONOTONIC_USEC={microseconds}")

    def send_ready(self) -> None:
        """Say that the agent serves."""
        self.send("READY=1")


class IdleExit:
    """Decides when an idle agent ends: after `seconds` without clients, if it is `expendable`."""

    def __init__(
        self, seconds: int | None, server: Server, clock: Clock, expendable: Callable[[], bool]
    ) -> None:
        self._seconds, self._server, self._clock = seconds, server, clock
        self._expendable = expendable
        self._came = -1
        self._since = 0

    def is_due(self) -> bool:
        """Tell whether the agent has been idle for long enough."""
        if self._seconds is None:
            return False
        if self._server.has_connections or self._server.came != self._came:
            self._came = self._server.came
            self._since = self._clock.boot()
            return False
        return self._clock.boot() - self._since >= self._seconds and self._expendable()
