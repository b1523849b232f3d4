"""The user's `config.toml` as the agent reads it: for policy, locks and `keyring-program`, never half.

The agent's own environment says which file that is; no request does, so that nobody chooses the
policy that is for them. It is looked at before every decision, which costs one call of the system,
and read again when it is another file or was changed. A file that is not there has no policy. One
that is there, be it as a link, and cannot be read or obeyed lets nothing through until it can: what it is meant to
forbid is not known.
"""

from __future__ import annotations

import os
import stat

from tokenward_agent.policy.deciding import possible
from tokenward_agent.policy.rule import DENY, Policy
from tokenward_os.files import SETTINGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

MAX_SIZE: Final = 1024 * 1024
"""Bytes of the largest file that is read."""

_SETTLED: Final = 2
"""Seconds after which a change of a file shows in its times: some disks count whole seconds."""

_TELLING: Final = (b"policy", b"lock-", b"keyring-program", b"\\u", b"\\U", b"\\x")
"""What a file holds that tells the agent anything, or an escape in which it could be spelled."""

_Identity = tuple[int, int, int, int, int]


class PolicyFile:
    """One policy file.

    `problem` says why it cannot be obeyed, worded to follow the file's name, "" if it can; `policy`
    counts only then. `changes` counts how often one of both became another.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.policy = Policy()
        self.problem = ""
        self.changes = 0
        self._seen: _Identity | None = None
        self._certain = True

    def look(self, now: int) -> None:
        """Read the file if it is not what it was; `now` is in seconds since 1970."""
        try:
            found = os.lstat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            self._take(Policy(), "", None)
            return
        except OSError as error:
            self._take(Policy(), _unreadable(error), None)
            return
        try:
            if stat.S_ISLNK(found.st_mode):
                found = os.stat(self.path)
        except OSError as error:
            self._take(Policy(), _unreadable(error), None)
            return
        seen = _identity(found)
        if seen == self._seen and self._certain:
            return
        self._certain = now - max(found.st_mtime, found.st_ctime) > _SETTLED
        try:
            self._take(_policy(self.path), "", seen)
        except OSError as error:
            self._take(Policy(), _unreadable(error), seen)
        except ValueError as error:
            self._take(Policy(), str(error), seen)

    def possible(self, service: str, username: str) -> tuple[str, ...]:
        """Return what can become of requests for a credential, as far as the last look knows."""
        return (DENY,) if self.problem else possible(self.policy.rules, service, username)

    def _take(self, policy: Policy, problem: str, seen: _Identity | None) -> None:
        self.changes += (policy, problem) != (self.policy, self.problem)
        self.policy, self.problem, self._seen = policy, problem, seen


def _policy(path: str) -> Policy:
    """Read a file. Raises OSError, ValueError."""
    descriptor = os.open(path, os.O_RDONLY | SETTINGS)
    with open(descriptor, "rb") as file:
        kind = os.fstat(descriptor).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISCHR(kind)):  # /dev/null is an empty file
            raise ValueError("is no ordinary file")
        data = file.read(MAX_SIZE + 1)
    if len(data) > MAX_SIZE:
        raise ValueError(f"is larger than {MAX_SIZE} bytes")
    if not any(mark in data for mark in _TELLING):
        return Policy()
    from tokenward_agent.policy.reading import read

    return read(data, os.path.realpath)


def _unreadable(error: OSError) -> str:
    return f"cannot be read: {error.strerror or type(error).__name__}"


def _identity(found: os.stat_result) -> _Identity:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
