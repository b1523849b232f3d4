"""The agent's own socket: where it lies, and that only this agent listens there.

Rules:

- The directory is the user's, mode 0700 from its creation, and not a link.
- The agent holds the lock file beside the socket while it lives. The kernel releases it however the
  agent ends, so no stale lock has to be judged. The agent also holds its directory's record
  (agent_record.py), so agents of two addresses do not serve one credentials directory.
- Before an existing socket is removed, the agent connects to it; if a process answers, it stays.
  Only sockets are ever removed, and at the end only the one that this agent made.
- The socket has mode 0600 from its creation.

A socket from a service manager is neither bound nor removed here. It may lie anywhere and have any
mode, since peers are judged by their uid. The lock is the same, so two agents never share an
address, however they were started.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import contextlib
import errno
import fcntl
import os
import socket
import stat

from tokenward_agent.files import file_identity
from tokenward_agent.wire.agent_record import AgentRecord, Claim
from tokenward_agent.wire.listener import AlreadyRunning, ListenAddressError
from tokenward_os.files import make_private
from tokenward_protocol import places


def address(state: str, directory: str, ordinary: str) -> str:
    """Return the default address of the agent of a credentials directory.

    `state` is the user's state directory. Raises ListenAddressError if no place for a socket is usable.
    """
    return f"{runtime_directory(state)}/{places.socket_name(directory, ordinary)}"


def runtime_directory(state: str) -> str:
    """Return the first usable runtime directory, made if necessary.

    Directories that exist come first. Raises ListenAddressError if not even the last one, in the state
    directory, is usable.
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
        except (OSError, ListenAddressError):
            continue
    make_private(os.path.dirname(last))
    return own_directory(last)


def own_directory(path: str) -> str:
    """Create `path` with mode 0700 if it is missing; return it.

    Raises ListenAddressError if it is a link, not a directory, another user's, or open to other users.
    """
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise ListenAddressError(
            f"The directory {path} cannot be made: {error.strerror}."
        ) from None
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode):
        raise ListenAddressError(f"{path} is not a directory.")
    if found.st_uid != os.geteuid():
        raise ListenAddressError(
            f"The directory {path} belongs to another user (uid {found.st_uid})."
        )
    if found.st_mode & 0o077:
        raise ListenAddressError(f"The directory {path} is open to others; run `chmod 700 {path}`.")
    return path


class SocketAddress:
    """One address, held by this process from `__init__` to `release`."""

    def __init__(
        self,
        path: str,
        handed: socket.socket | None = None,
        state: str | None = None,
        directory: str | None = None,
    ) -> None:
        """Lock the address `path`, and bind there unless a listener was `handed` over.

        `state` is the state folder of the `directory` to serve, for its record. Raises
        AlreadyRunning if another agent holds the address or serves the directory,
        ListenAddressError if the address cannot be used.
        """
        self._record = None if state is None else AgentRecord(state)
        self._claim = None if directory is None else Claim(directory)
        try:
            self.claim()
            self._bind(path, handed)
        except BaseException:
            self._forget_record()
            raise
        if self._record is not None:
            self._record.write(self.path)

    def _bind(self, path: str, handed: socket.socket | None) -> None:
        self.path = path
        self.handed = handed is not None
        limit = places.MAX_SOCKET_PATH.get(sys.platform, 103)
        if len(os.fsencode(path)) > limit:
            raise ListenAddressError(
                f"The socket's path {path} is longer than the {limit} bytes that the system"
                " allows; set XDG_RUNTIME_DIR to a shorter directory."
            )
        own_directory(os.path.dirname(path))
        self._lock = _lock(f"{path}.lock")
        if handed is not None:
            self.listener = handed
            self.path = os.fsdecode(handed.getsockname())
            self._identity = file_identity(self.path)
            return
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            remove_dead_socket(path)
            umask = os.umask(0o177)
            try:
                self.listener.bind(path)
            finally:
                os.umask(umask)
            self.listener.listen()  # early clients wait instead of being refused
            self._identity = file_identity(path)
        except OSError as error:
            self._abandon()
            raise ListenAddressError(
                f"The socket {path} cannot be made: {error.strerror}."
            ) from None
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        self.listener.close()
        os.close(self._lock)

    def _forget_record(self) -> None:
        if self._claim is not None:
            self._claim.release()
        if self._record is not None:
            self._record.release()

    def claim(self) -> None:
        """Claim the credentials directory once it exists. Raises ListenAddressError if another agent has."""
        if self._claim is not None:
            self._claim.take()

    def is_valid(self) -> bool:
        """Tell whether the socket at the address is the one that this agent serves.

        A socket from a service manager may not be visible from here.
        """
        if self.handed and self._identity is None:
            return True
        return self._identity is not None and file_identity(self.path) == self._identity

    def release(self) -> None:
        """Remove the socket if it is still this agent's, then release the address."""
        if not self.handed and self.is_valid():
            os.unlink(self.path)
        self._abandon()
        self._forget_record()


def _lock(path: str) -> int:
    """Open and lock the lock file; the descriptor holds the lock."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise ListenAddressError(
            f"The lock file {path} cannot be opened: {error.strerror}."
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in {errno.EAGAIN, errno.EACCES}:
            raise AlreadyRunning("this address") from None
        raise ListenAddressError(
            f"The lock file {path} cannot be locked: {error.strerror}."
        ) from None
    return descriptor


def remove_dead_socket(path: str) -> None:
    """Remove a socket without a listener. Raises ListenAddressError, AlreadyRunning or OSError."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ListenAddressError(f"{path} is not a socket; move it elsewhere.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except (TimeoutError, BlockingIOError):  # the listener's queue is full
            pass
    raise AlreadyRunning("this address")


class SharedAddress:
    """A bound socket at `path`; `release` removes it."""

    def __init__(self, path: str, *, for_others: bool) -> None:
        """Bind the socket. Raises ListenAddressError if that is impossible."""
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
