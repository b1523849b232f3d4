"""What can go wrong with a vault, told as one sentence and a hint.

The sentence names the file and the reason, never what a vault holds. A mistake of the system
becomes one here, so that whoever asked hears "the disk is full" and not a number.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

RESTORE: Final = "`auth restore --previous` brings back the generation before it, if one was kept."


class VaultError(Exception):
    """A vault cannot be read or written.

    `code` is a code of the wire: `vault`, `read-only`, `busy` or `locked`. `hint` is a sentence
    with what helps, or empty.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


class WrongKey(Exception):  # noqa: N818 - an answer to a question
    """This key does not open that slot: a wrong passphrase, or another vault's key."""


_READ_ONLY: Final = (
    "read-only",
    "{path} cannot be changed: it is on a read-only file system",
    "Stored credentials can still be used; log in where the directory can be written.",
)
_FULL: Final = "Nothing was changed; make room and do it again."
_EXPLAINED: Final = {
    errno.ENOSPC: ("vault", "The disk that holds {path} is full", _FULL),
    errno.EDQUOT: ("vault", "Your disk quota is used up, so {path} cannot be written", _FULL),
    errno.EROFS: _READ_ONLY,
    errno.EACCES: (
        "read-only",
        "This user may not {doing} {path}",
        "`auth doctor` shows whose it is and the command that mends it.",
    ),
    errno.EIO: (
        "vault",
        "The disk reported an error, so the agent could not {doing} {path}",
        "Check the disk, then do it again; nothing that was stored before is lost by this.",
    ),
    errno.ELOOP: (
        "vault",
        "{path} is a symbolic link, which is not followed",
        "Put the file itself there.",
    ),
    errno.EMFILE: ("busy", "The agent has too many files open to {doing} {path}", "Try again."),
}
_EXPLAINED[errno.EPERM] = _EXPLAINED[errno.EACCES]
_EXPLAINED[errno.ENFILE] = _EXPLAINED[errno.EMFILE]


def explain(error: OSError, doing: str, path: str) -> VaultError:
    """Turn a mistake of the system into a sentence; *doing* is a verb: "read", "write"."""
    code, message, hint = _EXPLAINED.get(
        error.errno or 0,
        ("vault", f"The agent could not {{doing}} {{path}}: {os.strerror(error.errno or 0)}", ""),
    )
    if code == "read-only" and doing != "write":
        code = "vault"
    return VaultError(code, message.format(doing=doing, path=path) + ".", hint)
