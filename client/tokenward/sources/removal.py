"""Removing secrets from the files of other tools, once they are stored here.

A file is refused and left unchanged if it or its directory belongs to another user, also through a
link; if it has a second name, which would keep the secret; if it changed since it was read; if its
tool is writing it. Owner, mode and everything else in the file stay. No copy is kept.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import contextmanager

from tokenward.errors import CommandError
from tokenward.files.atomic_write import replace
from tokenward.files.reading import read
from tokenward.sources.netrc_file import readable
from tokenward_os.files import CLOSED, open_to_others, uid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tokenward.sources.document import Document
    from tokenward.sources.found import ForeignCredential


def remove_secrets(document: Document, settled: Iterable[ForeignCredential]) -> bool:
    """Remove the secrets in `settled` from the document's file. Raises CommandError.

    Return whether other users could read the file until now.
    """
    after = document.without(settled)
    if document.source == "netrc" and readable(document.data.decode()):
        _keep_readable(document.path, after.decode())
    path = os.path.realpath(document.path)
    try:
        found = os.lstat(path)
        _judge(document.path, path, found)

        def still_the_same() -> None:
            if read(path) != document.data:
                raise CommandError(
                    f"{document.path} was changed meanwhile, so the import left it unchanged.",
                    "do it again",
                )

        with _lock_store(document):
            replace(
                path,
                after,
                mode=stat.S_IMODE(found.st_mode),
                group=found.st_gid,
                before=still_the_same,
            )
    except OSError as error:
        raise CommandError(
            f"{document.path} cannot be written, so it still has the secret: {error.strerror}.",
            "make that possible and do it again",
        ) from None
    return open_to_others(found.st_mode)


def _judge(shown: str, path: str, found: os.stat_result) -> None:
    """Refuse a file that another user could change."""
    for place, owner in ((path, found.st_uid), (os.path.dirname(path), None)):
        if (os.stat(place).st_uid if owner is None else owner) != uid():
            raise CommandError(
                f"{shown} was not changed: {place} belongs to another user.",
                "its owner can remove the secret",
            )
    if found.st_nlink > 1:
        raise CommandError(
            f"{shown} was not changed: it has {found.st_nlink} names, and the others would keep the"
            " secret.",
            f"`find -inum {found.st_ino}` finds them",
        )


def _keep_readable(shown: str, text: str) -> None:
    """Refuse a removal after which pip and twine could not read a netrc that they can read now."""
    if not readable(text):
        raise CommandError(
            f"{shown} was not changed: Python could not read the rest of it.",
            "remove the entry with an editor; Python rejects a comment below an empty line",
        )


@contextmanager
def _lock_store(document: Document) -> Iterator[None]:
    """Hold the lock that uv takes for its store."""
    if document.source != "uv":
        yield
        return
    file = os.open(f"{document.path}.lock", os.O_RDWR | os.O_CREAT | CLOSED, 0o600)
    try:
        try:
            _lock(file)
        except OSError:
            raise CommandError(f"{document.path} is in use by uv.", "do it again") from None
        yield
    finally:
        os.close(file)


def _lock(file: int) -> None:
    """Lock an open file as uv does. Raises OSError if another process has the lock."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
