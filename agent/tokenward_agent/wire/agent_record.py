"""The record of the one agent that serves a credentials directory on this host, with its address.

The record is a file in the directory's state folder, which clients of every environment know. Its
name is this host's (places.py); it is locked while the agent lives, and holds the address. Rules:

- The process that holds the lock is the agent of that directory here. The kernel releases the lock
  however the agent ends. Other hosts that see the same folder use other names.
- After locking, the agent checks that the file still has its name: the former agent removes the
  file when it ends, and two agents could otherwise each lock a different file.
- If the folder cannot be written, or its file system has no locks, the agent serves all the same,
  but clients find it only at its environment's address.
- Unlocked records older than `STALE_SECONDS` are of hosts that went down, and are removed.

An agent with another state folder (XDG_STATE_HOME) would not see this record, nor obey this agent's
locks. So an agent also holds a `Claim` in the credentials directory, and does not serve a directory
that another agent claims. That file is empty: it is a lock, and no file of that directory is
trusted to hold an address.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
import time

from tokenward_agent.files import open_file
from tokenward_agent.wire.listener import AlreadyRunning, ListenAddressError
from tokenward_os import user
from tokenward_protocol import places

STALE_SECONDS = 7 * 24 * 3600
_IN_THE_WAY = {errno.ELOOP, errno.EISDIR, errno.ENXIO}
_HELD = {errno.EAGAIN, errno.EACCES}


class AgentRecord:
    """The record of the agent of one credentials directory, whose state folder is `folder`."""

    def __init__(self, folder: str) -> None:
        """Lock it. Raises AlreadyRunning if another agent of this host has it, ListenAddressError."""
        self._folder = folder
        self.path = os.path.join(folder, host_record_name())
        self._file: int | None = None
        try:
            self._file = _lock(self.path)
        except BlockingIOError:
            raise AlreadyRunning("this credentials directory") from None
        except OSError as error:
            if error.errno in _IN_THE_WAY:
                raise ListenAddressError(
                    f"{self.path} is not a file that the agent made; move it elsewhere."
                ) from None

    def write(self, address: str) -> None:
        """Write the agent's address into the record, and remove records of hosts that went down."""
        if self._file is None:
            return
        with contextlib.suppress(OSError):  # a full disk: clients find the usual address
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, os.fsencode(f"{address}\n"), 0)
        with contextlib.suppress(OSError):
            _sweep(self._folder, os.path.basename(self.path))

    def release(self) -> None:
        """Remove the record, and release the lock."""
        if self._file is None:
            return
        with contextlib.suppress(OSError):
            if _is_at(self._file, self.path):
                os.unlink(self.path)
        os.close(self._file)
        self._file = None


class Claim:
    """The lock of a credentials directory for all agents of this host: one byte of a file there.

    The host's name decides which byte, so hosts and containers with one home do not collide.
    """

    def __init__(self, directory: str) -> None:
        """Prepare; `take` locks."""
        self._directory = directory
        self._file: int | None = None

    def take(self) -> None:
        """Lock the directory if it exists and is writable. Raises ListenAddressError if an agent has it."""
        if self._file is not None:
            return
        with contextlib.suppress(OSError):
            self._file = open_file(
                os.path.join(self._directory, "agent.lock"), os.O_RDWR | os.O_CREAT
            )
        if self._file is None:
            return
        at = int.from_bytes(
            hashlib.blake2s(host_record_name().encode(), digest_size=6).digest(), "big"
        )
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, at)
        except OSError as error:
            self.release()
            if error.errno in _HELD:
                raise ListenAddressError(
                    f"Another agent on this host serves {self._directory} with another state"
                    " directory; set XDG_STATE_HOME as that agent has it."
                ) from None

    def release(self) -> None:
        """Release the lock; the file stays, since another agent may hold another byte of it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def host_record_name() -> str:
    """Return the name of this host's record."""
    return places.record_name(*user.marks())


def _lock(path: str) -> int:
    """Return the locked file. Raises BlockingIOError if another process has the lock, or OSError."""
    while True:
        file = _open(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(file, path):
                return file
        except OSError as error:
            os.close(file)
            if error.errno in _HELD:
                raise BlockingIOError from None
            raise
        os.close(file)  # the former agent has just removed it


def _open(path: str) -> int:
    try:
        file = open_file(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        file = open_file(path, os.O_RDONLY)  # read-only is enough for a lock
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    raise OSError(errno.ENXIO, "it is not a plain file")


def _is_at(file: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.lstat(path))
    except FileNotFoundError:
        return False


def _sweep(folder: str, own: str) -> None:
    prefix = own.partition("-")[0] + "-"
    for other in os.listdir(folder):
        path = os.path.join(folder, other)
        if not other.startswith(prefix) or other == own:
            continue
        with contextlib.suppress(OSError):
            if os.lstat(path).st_mtime < time.time() - STALE_SECONDS:
                file = _lock(path)
                os.unlink(path)
                os.close(file)
