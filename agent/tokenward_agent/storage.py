"""One vault file in the credentials directory: read whole, replaced whole, never half written.

A save writes a temporary file in the same directory, fsyncs it, renames it over the old one and
fsyncs the directory, all under a lock file of its own; so whenever the machine stops, the file is
either the one before or the one after. The generation before is kept as ``NAME.previous``, for
damage, unless the caller says that it holds something that was removed.

The directory and the files must be this user's, plain, and closed to others (0700, 0600). No link
is followed below the directory, whose own path the caller has resolved. Everything is done
relative to one open directory, so a directory that is moved in between is not mixed with another.
Reading takes no lock and works in a read-only directory. What the system refuses becomes a
VaultError. Temporary files of saves that died are removed under the lock, where none can be alive.
"""

# Everything is relative to an open directory, which pathlib cannot be.
from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time

from tokenward_agent.vault_error import VaultError, explain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Final

PATIENCE: Final = 10.0
"""Seconds to wait for another process' save; one takes milliseconds."""

_SAFE: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a FIFO must not stop us
_NO_LINKS: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class Storage:
    """The file *name* in the absolute, resolved *directory*."""

    def __init__(self, directory: str, name: str) -> None:
        self.directory = directory
        self.name = name
        self.path = os.path.join(directory, name)

    def __repr__(self) -> str:
        return f"Storage({self.path!r})"

    def read(self, most: int) -> bytes | None:
        """Return the file's first *most* bytes, None if there is no file. Raises VaultError."""
        return self._read(self.name, most)

    def read_previous(self, most: int) -> bytes | None:
        """Return the generation before in the same way."""
        return self._read(f"{self.name}.previous", most)

    @contextlib.contextmanager
    def locked(self) -> Iterator[Writer]:
        """Hold the file's lock, alone among all processes; make the directory if it is not there.

        Raises VaultError if it cannot be written, or with code `busy` after PATIENCE seconds.
        """
        with _explained("write", self.path):
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
        with contextlib.ExitStack() as stack:
            directory = self._open_directory()
            stack.callback(os.close, directory)
            with _explained("write", self.path):
                lock = os.open(
                    f"{self.name}.lock", os.O_RDWR | os.O_CREAT | _SAFE, 0o600, dir_fd=directory
                )
            stack.callback(os.close, lock)
            _check(os.fstat(lock), f"{self.path}.lock", stat.S_ISREG, "a plain file", "600")
            _wait(lock, self.path)
            yield Writer(directory, self.name, self.path)

    def _read(self, name: str, most: int) -> bytes | None:
        path = os.path.join(self.directory, name)
        with contextlib.ExitStack() as stack:
            try:
                directory = self._open_directory()
            except VaultError as error:
                if isinstance(error.__cause__, FileNotFoundError):
                    return None
                raise
            stack.callback(os.close, directory)
            with _explained("read", path):
                try:
                    file = os.open(name, os.O_RDONLY | _SAFE, dir_fd=directory)
                except FileNotFoundError:
                    return None
                stack.callback(os.close, file)
                found = os.fstat(file)
                _check(found, path, stat.S_ISREG, "a plain file", "600")
                with open(file, "rb", closefd=False) as stream:
                    return stream.read(min(most, found.st_size))

    def _open_directory(self) -> int:
        with _explained("open", self.directory):
            found = os.lstat(self.directory)
            _check(found, self.directory, stat.S_ISDIR, "a directory", "700")
            directory = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | _SAFE)
        try:
            _check(os.fstat(directory), self.directory, stat.S_ISDIR, "a directory", "700")
        except BaseException:
            os.close(directory)
            raise
        return directory


class Writer:
    """What may be done to the file while its lock is held."""

    def __init__(self, directory: int, name: str, path: str) -> None:
        self._directory = directory
        self._name = name
        self._path = path
        self._mark = f".{name}."  # of a temporary file: .NAME.RANDOM.tmp

    def replace(self, data: bytes, *, keep_previous: bool) -> None:
        """Put *data* in the file's place, on the disk when this returns.

        Without *keep_previous* the generation before is gone, too. Raises VaultError; then the
        file is as it was, or, if only the last fsync of the directory failed, the new one, and
        the sentence says so.
        """
        with _explained("write", self._path):
            self._sweep()
            fresh = self._temporary()
            try:
                self._write(fresh, data)
                if keep_previous:
                    self._keep()
                else:
                    self._remove(f"{self._name}.previous")
                self._rename(fresh, self._name)
            except BaseException:
                with contextlib.suppress(OSError):
                    self._remove(fresh)
                raise
        try:
            _sync(self._directory)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a file system that cannot do this for a directory
                raise VaultError(
                    "vault",
                    f"{self._path} was written, but the disk did not confirm that it will stay: "
                    f"{os.strerror(error.errno or 0)}.",
                    "check the disk, then do it again",
                ) from error

    def _sweep(self) -> None:
        for name in os.listdir(self._directory):
            if name.startswith(self._mark) and name.endswith(".tmp"):
                self._remove(name)

    def _temporary(self) -> str:
        return f"{self._mark}{os.urandom(8).hex()}.tmp"

    def _write(self, name: str, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFE
        file = os.open(name, flags, 0o600, dir_fd=self._directory)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(file, view) :]
            _sync(file)
        finally:
            os.close(file)

    def _keep(self) -> None:
        """Give the file a second name, in one step: the last previous one is there until then."""
        link = self._temporary()
        try:
            os.link(self._name, link, src_dir_fd=self._directory, dst_dir_fd=self._directory)
            self._rename(link, f"{self._name}.previous")
        except FileNotFoundError:
            return  # the first save
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        finally:
            self._remove(link)  # rename leaves it where both names are of one file already

    def _rename(self, source: str, target: str) -> None:
        os.rename(source, target, src_dir_fd=self._directory, dst_dir_fd=self._directory)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._directory)


@contextlib.contextmanager
def _explained(doing: str, path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise explain(error, doing, path) from error


def _check(
    found: os.stat_result, path: str, is_kind: Callable[[int], bool], kind: str, mode: str
) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise explain(OSError(errno.ELOOP, ""), "open", path)
    if not is_kind(found.st_mode):
        raise VaultError("vault", f"{path} is not {kind}.", "move it out of the way")
    if found.st_uid != os.geteuid():
        raise VaultError(
            "vault",
            f"{path} belongs to another user (uid {found.st_uid}).",
            f"`chown {os.geteuid()} {path}` as root gives it to you",
        )
    if found.st_mode & 0o077:
        raise VaultError(
            "vault",
            f"{path} is open to other users (mode {stat.S_IMODE(found.st_mode):o}).",
            f"`chmod {mode} {path}`",
        )


def _wait(lock: int, path: str) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with _explained("lock", path):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.005)  # a thread's, and only while another process is saving
            else:
                return
    raise VaultError(
        "busy",
        f"Another process has been saving {path} for {PATIENCE:.0f} seconds.",
        "try again; if it stays so, end the other `tokenward-agent` of this directory",
    )


def _sync(file: int) -> None:
    full = getattr(fcntl, "F_FULLFSYNC", None)  # macOS: fsync stops at the disk's own cache
    if full is not None:
        try:
            fcntl.fcntl(file, full)
        except OSError:
            pass  # a file system that has none: fsync is all there is
        else:
            return
    os.fsync(file)
