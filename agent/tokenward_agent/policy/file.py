"""The user's `config.toml` as the agent reads it: all of it or nothing.

The agent's own environment names the file, not a request, so that no program can choose its own
policy. The agent reads the policy, the locks, the recipes, the shares and `keyring-program` there.
Before every decision the file's status is checked, which costs one system call; the file is read
again if it was replaced or changed. A missing file has no policy. A file (or a link in its place)
that cannot be read, or is invalid, denies everything until it can be read: what it means to forbid
is not known.
"""

from __future__ import annotations

import os
import stat
from typing import Final

from tokenward_agent.policy.deciding import possible_decisions
from tokenward_agent.policy.rule import DENY, Policy
from tokenward_os.files import SETTINGS

MAX_SIZE: Final = 1024 * 1024  # bytes of the largest file that is read
_SETTLED: Final = 2
"""Seconds until a change shows in a file's times: some file systems count whole seconds."""

_TELLING: Final = (
    *(b"policy", b"lock-", b"keyring-program", b"ca", b"proxy", b"kind", b"also-read", b"pass"),
    *(b"command", b"share", b"unlock", b"pinentry", b"\\u", b"\\U", b"\\x"),
)
"""A file without any of these has no settings for the agent; a backslash could escape one."""

_Identity = tuple[int, int, int, int, int]


class PolicyFile:
    """One policy file.

    `problem` says why it is invalid, worded to follow the file's name, "" if it is valid; `policy`
    counts only then. `changes` counts how often either changed.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.policy = Policy()
        self.problem = ""
        self.changes = 0
        self._seen: _Identity | None = None
        self._certain = True

    def reload(self, now: int) -> None:
        """Read the file if it has changed; `now` is in seconds since 1970."""
        try:
            found = _find(self.path)
        except OSError as error:
            self._take(Policy(), _describe_problem(error), None)
            return
        if found is None:
            self._take(Policy(), "", None)
            return
        times = found.st_mtime_ns, found.st_ctime_ns
        seen = found.st_dev, found.st_ino, found.st_size, *times
        # A change within the resolution of the file's times would not show, so a file that changed
        # a moment ago is read again.
        if seen == self._seen and self._certain:
            return
        self._certain = now - max(found.st_mtime, found.st_ctime) > _SETTLED
        try:
            self._take(_read_policy(self.path), "", seen)
        except OSError as error:
            self._take(Policy(), _describe_problem(error), seen)
        except ValueError as error:
            self._take(Policy(), str(error), seen)

    def possible_decisions(self, service: str, username: str) -> tuple[str, ...]:
        """Return the decisions that requests for a credential can get, as of the last look."""
        return (DENY,) if self.problem else possible_decisions(self.policy.rules, service, username)

    def _take(self, policy: Policy, problem: str, seen: _Identity | None) -> None:
        self.changes += (policy, problem) != (self.policy, self.problem)
        self.policy, self.problem, self._seen = policy, problem, seen


def _find(path: str) -> os.stat_result | None:
    """Return the status of a file, None if there is nothing. Raises OSError, also for a broken link."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return os.stat(path) if stat.S_ISLNK(found.st_mode) else found


def _read_policy(path: str) -> Policy:
    """Read a file. Raises OSError, ValueError."""
    descriptor = os.open(path, os.O_RDONLY | SETTINGS)
    with open(descriptor, "rb") as file:
        kind = os.fstat(descriptor).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISCHR(kind)):  # /dev/null is an empty file
            raise ValueError("is not a regular file")
        data = file.read(MAX_SIZE + 1)
    if len(data) > MAX_SIZE:
        raise ValueError(f"is larger than {MAX_SIZE} bytes")
    if not any(mark in data for mark in _TELLING):
        return Policy()
    from tokenward_agent.policy.reading import read_policy

    return read_policy(data, os.path.realpath)


def _describe_problem(error: OSError) -> str:
    return f"cannot be read: {error.strerror or type(error).__name__}"
