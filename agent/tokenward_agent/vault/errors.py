"""Errors of a vault: one sentence and a hint.

The sentence names the file and the reason, never the contents of a vault. An error of the system
becomes such a sentence here, so the user reads "the disk is full" and not a number.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, Final

from tokenward_agent.files import closed_to_its_owner

if TYPE_CHECKING:
    from collections.abc import Iterator

RESTORE: Final = "`auth restore --previous` restores the previous generation, if one was kept"


class VaultError(Exception):
    """A vault cannot be used; `code` is `vault`, `read-only`, `busy` or `locked` of the wire."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


class Damaged(VaultError):  # noqa: N818 - it says what a file is
    """A vault's file is missing, cut off or changed; the previous generation may replace it."""

    def __init__(self, message: str, hint: str = RESTORE) -> None:
        super().__init__("vault", message, hint)


class WrongKey(Exception):  # noqa: N818 - an answer to a question
    """The key does not open the slot: a wrong passphrase, or another vault's key."""


_READ_ONLY: Final = (
    "read-only",
    "{path} cannot be changed: it is on a read-only file system",
    "stored credentials can still be used; log in where the directory can be written",
)
_FULL: Final = "nothing was changed; free some space and try again"
_EXPLAINED: Final = {
    errno.ENOSPC: ("vault", "The disk that holds {path} is full", _FULL),
    errno.EDQUOT: ("vault", "Your disk quota is used up, so {path} cannot be written", _FULL),
    errno.EROFS: _READ_ONLY,
    errno.EACCES: (
        "read-only",
        "This user may not {doing} {path}",
        "`ls -l {path}` shows its owner",
    ),
    errno.EIO: (
        "vault",
        "The disk reported an error, so the agent could not {doing} {path}",
        "check the disk, then try again; this error loses no stored credential",
    ),
    errno.ELOOP: (
        "vault",
        "{path} is a symbolic link, which is not followed",
        "put the file itself in its place",
    ),
    errno.EMFILE: ("busy", "The agent has too many files open to {doing} {path}", "try again"),
}
_EXPLAINED[errno.EPERM] = _EXPLAINED[errno.EACCES]
_EXPLAINED[errno.ENFILE] = _EXPLAINED[errno.EMFILE]


def explain(error: OSError, doing: str, path: str) -> VaultError:
    """Return a VaultError for an error of the system; *doing* is a verb: "read", "write"."""
    if error.errno in {errno.EACCES, errno.EPERM} and (found := closed_to_its_owner(path)):
        return VaultError(
            "read-only" if doing == "write" else "vault",
            f"This user may not {doing} {path}: the mode of {found.path} is {found.mode:o}.",
            f"`{found.remedy}`",
        )
    code, message, hint = _EXPLAINED.get(
        error.errno or 0,
        ("vault", f"The agent could not {{doing}} {{path}}: {os.strerror(error.errno or 0)}", ""),
    )
    if code == "read-only" and doing != "write":
        code = "vault"
    return VaultError(code, message.format(doing=doing, path=path) + ".", hint.format(path=path))


@contextlib.contextmanager
def explaining(doing: str, path: str) -> Iterator[None]:
    """Turn an OSError inside the block into a VaultError."""
    try:
        yield
    except OSError as error:
        raise explain(error, doing, path) from error
