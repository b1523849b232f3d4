"""That this agent is the one of its credentials directory on this host, and where it is.

Both stand in the directory's state folder, which all of its clients know whatever their environment:
a file of a name of this host's (places.py), locked for as long as the agent lives, which holds the
address. Rules:

- whoever holds the lock is the agent of that directory here; the kernel lets go of it however the
  agent ends. Other hosts, which may see the same folder, have names of their own;
- the file that is locked is the one that has the name: it is taken away at the end, so that two who
  open it at that moment would otherwise hold one each;
- where the folder cannot be written, or its file system locks nothing, an agent serves all the same,
  and is found at its environment's address alone;
- records that nobody holds and that are older than `STALE_SECONDS` are those of hosts that went down.

An agent of another state folder (XDG_STATE_HOME) would not be met there, and would not obey its locks.
So an agent holds a `Claim` in the credentials directory as well, and does not serve one that another has.
Nothing stands in that file, since nothing in the directory is believed: it is a lock and no address.
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

from tokenward_agent.files import opened
from tokenward_agent.wire.place import AlreadyRunning, PlaceError
from tokenward_os import host
from tokenward_protocol import places

STALE_SECONDS = 7 * 24 * 3600
_IN_THE_WAY = {errno.ELOOP, errno.EISDIR, errno.ENXIO}
_HELD = {errno.EAGAIN, errno.EACCES}


class Record:
    """The record of the agent of one credentials directory, whose state folder is `folder`."""

    def __init__(self, folder: str) -> None:
        """Lock it. Raises AlreadyRunning if another agent of this host does, PlaceError."""
        self._folder = folder
        self.path = os.path.join(folder, name())
        self._file: int | None = None
        try:
            self._file = _locked(self.path)
        except BlockingIOError:
            raise AlreadyRunning("this credentials directory") from None
        except OSError as error:
            if error.errno in _IN_THE_WAY:
                raise PlaceError(
                    f"{self.path} is in the way and is no file of ours; move it elsewhere."
                ) from None

    def tell(self, address: str) -> None:
        """Write down where the agent is, and sweep up what dead hosts left."""
        if self._file is None:
            return
        with contextlib.suppress(OSError):  # a full disk: it is found at its usual address alone
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, os.fsencode(f"{address}\n"), 0)
        with contextlib.suppress(OSError):
            _sweep(self._folder, os.path.basename(self.path))

    def release(self) -> None:
        """Take it away, and let go of the lock."""
        if self._file is None:
            return
        with contextlib.suppress(OSError):
            if _is_at(self._file, self.path):
                os.unlink(self.path)
        os.close(self._file)
        self._file = None


class Claim:
    """The lock of a credentials directory, by all agents of this host: a byte of a file there.

    Which byte goes by the host's name, so that hosts and containers with one home have theirs.
    """

    def __init__(self, directory: str) -> None:
        """Take nothing yet."""
        self._directory = directory
        self._file: int | None = None

    def take(self) -> None:
        """Lock it, where the directory is there and can be written. Raises PlaceError."""
        if self._file is not None:
            return
        with contextlib.suppress(OSError):
            self._file = opened(os.path.join(self._directory, "agent.lock"), os.O_RDWR | os.O_CREAT)
        if self._file is None:
            return
        at = int.from_bytes(hashlib.blake2s(name().encode(), digest_size=6).digest(), "big")
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, at)
        except OSError as error:
            self.release()
            if error.errno in _HELD:
                raise PlaceError(
                    f"Another agent on this host serves {self._directory} and is not met from here:"
                    " its state directory is another one; set XDG_STATE_HOME as it is there."
                ) from None

    def release(self) -> None:
        """Let go of it. The file stays: whoever has it open holds the lock of that name."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def name() -> str:
    """Return the name of the record of this host."""
    return places.record_name(*host.marks())


def _locked(path: str) -> int:
    """Return a descriptor of the locked file. Raises BlockingIOError where another has it, OSError."""
    while True:
        file = _opened(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(file, path):
                return file
        except OSError as error:
            os.close(file)
            if error.errno in _HELD:
                raise BlockingIOError from None
            raise
        os.close(file)  # whoever had it has just taken it away


def _opened(path: str) -> int:
    try:
        file = opened(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        file = opened(path, os.O_RDONLY)  # enough to lock it
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
                file = _locked(path)
                os.unlink(path)
                os.close(file)
