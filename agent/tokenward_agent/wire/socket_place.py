"""The agent's own socket: where it lies, that nobody else is there, and that it is ours.

Rules:

- the directory is ours, mode 0700 from the moment it is made, and no link;
- one agent holds the lock file beside the socket for as long as it lives; the kernel lets go of
  it however the agent ends, so nothing stale is left to judge. It holds its directory's record, too
  (record.py), so that agents of two addresses do not serve one credentials directory;
- a socket that is there already is asked before it is removed: if somebody answers, it stays.
  Only a socket is ever removed, and at the end only the one that was made here;
- mode 0600 from the moment it exists.

A socket that a service manager made and handed over is neither bound nor removed here, may lie
anywhere and have any mode: who connects is judged by their uid. The lock is the same, so that no two
agents have the same address to themselves, whoever started them.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import errno
import fcntl
import os
import socket
import stat

from tokenward_agent.wire.place import AlreadyRunning, PlaceError
from tokenward_agent.wire.record import Claim, Record
from tokenward_os.files import make_private
from tokenward_protocol import places


def address(state: str, directory: str, ordinary: str) -> str:
    """Return where the agent of a credentials directory listens, by itself.

    `state` is the user's state directory. Raises PlaceError if there is no place for a socket.
    """
    return f"{runtime_directory(state)}/{places.socket_name(directory, ordinary)}"


def runtime_directory(state: str) -> str:
    """Return the first runtime directory that is there and usable, or else can be made.

    Raises PlaceError if not even the last one, in the state directory, can be had.
    """
    temp = None
    if sys.platform == "darwin":
        temp = os.confstr(places.DARWIN_USER_TEMP_DIR)
    uid = os.geteuid()
    candidates = places.runtime_directories(sys.platform, uid, os.environ, state, temp)
    *shared, last = candidates
    for candidate, known in [(c, c) for c in candidates] + [
        (c, os.path.dirname(c)) for c in shared
    ]:
        try:
            if os.stat(known).st_uid == uid:
                return own_directory(candidate)
        except (OSError, PlaceError):
            continue
    make_private(os.path.dirname(last))
    return own_directory(last)


def own_directory(path: str) -> str:
    """Make `path` with mode 0700 if it is missing; return it.

    Raises PlaceError if it is a link, no directory, somebody else's, or open to others.
    """
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise PlaceError(f"The directory {path} cannot be made: {error.strerror}.") from None
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode):
        raise PlaceError(f"{path} is not a directory.")
    if found.st_uid != os.geteuid():
        raise PlaceError(f"The directory {path} belongs to another user (uid {found.st_uid}).")
    if found.st_mode & 0o077:
        raise PlaceError(f"The directory {path} is open to others; `chmod 700 {path}` mends that.")
    return path


class SocketPlace:
    """One address, held by this process from `__init__` to `release`."""

    def __init__(
        self,
        path: str,
        handed: socket.socket | None = None,
        state: str | None = None,
        directory: str | None = None,
    ) -> None:
        """Take the lock of the address `path`, and bind there unless a listener was `handed` over.

        `state` is the state folder of the `directory` that is to be served, in which it is recorded.
        Raises AlreadyRunning if another agent holds the address or serves the directory, PlaceError
        if it cannot be had.
        """
        self._record = None if state is None else Record(state)
        self._claim = None if directory is None else Claim(directory)
        try:
            self.claim()
            self._take(path, handed)
        except BaseException:
            self._forget()
            raise
        if self._record is not None:
            self._record.tell(self.path)

    def _take(self, path: str, handed: socket.socket | None) -> None:
        self.path = path
        self.handed = handed is not None
        limit = places.MAX_SOCKET_PATH.get(sys.platform, 103)
        if len(os.fsencode(path)) > limit:
            raise PlaceError(
                f"The socket's path {path} is longer than the {limit} bytes that the system"
                " allows; set XDG_RUNTIME_DIR to a shorter directory."
            )
        own_directory(os.path.dirname(path))
        self._lock = _locked(f"{path}.lock")
        if handed is not None:
            self.listener = handed
            self.path = os.fsdecode(handed.getsockname())
            self._identity = identity(self.path)
            return
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            clear(path)
            umask = os.umask(0o177)
            try:
                self.listener.bind(path)
            finally:
                os.umask(umask)
            self.listener.listen()  # whoever comes before we serve waits, and is not turned away
            self._identity = identity(path)
        except OSError as error:
            self._abandon()
            raise PlaceError(f"The socket {path} cannot be made: {error.strerror}.") from None
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        self.listener.close()
        os.close(self._lock)

    def _forget(self) -> None:
        if self._claim is not None:
            self._claim.release()
        if self._record is not None:
            self._record.release()

    def claim(self) -> None:
        """Claim the credentials directory, once that is there. Raises PlaceError where another did."""
        if self._claim is not None:
            self._claim.take()

    def still_ours(self) -> bool:
        """Tell whether the socket that clients find at the address is the one that is served.

        One that was handed over may never have been seen from here.
        """
        if self.handed and self._identity is None:
            return True
        return self._identity is not None and identity(self.path) == self._identity

    def release(self) -> None:
        """Take the socket away, if it is still ours alone, then let go of the address."""
        if not self.handed and self.still_ours():
            os.unlink(self.path)
        self._abandon()
        self._forget()


def identity(path: str) -> tuple[int, int] | None:
    """Return what tells a file from one that takes its place, None where there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _locked(path: str) -> int:
    """Open and lock the lock file; the descriptor holds the lock."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise PlaceError(f"The lock file {path} cannot be opened: {error.strerror}.") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in {errno.EAGAIN, errno.EACCES}:
            raise AlreadyRunning("this address") from None
        raise PlaceError(f"The lock file {path} cannot be locked: {error.strerror}.") from None
    return descriptor


def clear(path: str) -> None:
    """Remove a socket that nobody answers. Raises PlaceError, AlreadyRunning, OSError."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise PlaceError(f"{path} is in the way and is not a socket; move it elsewhere.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except (TimeoutError, BlockingIOError):  # somebody's queue is full
            pass
    raise AlreadyRunning("this address")
