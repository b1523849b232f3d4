"""A file with credentials, and removing some of them once they are stored here.

A removal cuts spans out of the text and changes nothing else: comments, order, blanks and line ends
stay. It counts only if the rest parses as expected: exactly the other credentials, each as before.

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
    from collections.abc import Callable, Iterable

    from tokenward.files.draft import Span
    from tokenward.sources.found import ForeignCredential, KnownIndexes

    ReadFile = Callable[[str, str, KnownIndexes], list[ForeignCredential]]
    from collections.abc import Iterator

    from tokenward.sources.found import ForeignCredential


_MARK = "\ufeff"


class Document:
    """A file of one source: `data` is its contents, `found` its credentials."""

    __slots__ = ("_known", "_look", "data", "found", "path", "source")

    def __init__(
        self, source: str, path: str, data: bytes, known: KnownIndexes, folders: ReadFile
    ) -> None:
        """Parse `data`. Raises CommandError, which quotes nothing of it."""
        self.source = source
        self.path = path
        self.data = data
        self._known = known
        self._look = folders
        self.found = self._read(data)

    def __repr__(self) -> str:
        return f"<Document {self.path}>"

    def without(self, settled: Iterable[ForeignCredential]) -> bytes:
        """Return the file's bytes without the secrets in `settled`.

        A shared secret stays until all of its credentials are settled. Raises CommandError if a
        secret cannot be cut out by itself.
        """
        gone = list(settled)
        kept = [found for found in self.found if found not in gone]
        needed = {span for found in kept for span in found.spans}
        spans = {span for found in gone for span in found.spans} - needed
        text = self.data.decode()
        left = (_MARK if text.startswith(_MARK) else "") + remove_spans(
            text.removeprefix(_MARK), spans
        )
        kept += [found for found in gone if needed.intersection(found.spans)]
        after = left.encode()
        if any(not found.spans for found in gone) or not self._holds_only(after, kept):
            raise CommandError(
                f"A secret that was imported cannot be cut out of {self.path} by itself.",
                "remove it with an editor",
            )
        return after

    def _holds_only(self, data: bytes, kept: list[ForeignCredential]) -> bool:
        def sorted_facts(those: list[ForeignCredential]) -> list[tuple[object, ...]]:
            return sorted((f.services, f.username, f.secret) for f in those)

        return sorted_facts(self._read(data)) == sorted_facts(kept)

    def _read(self, data: bytes) -> list[ForeignCredential]:
        try:
            text = data.decode().removeprefix(_MARK)
        except UnicodeDecodeError:
            raise CommandError(f"{self.path} is not UTF-8 text.") from None
        return self._look(text, self.path, self._known)


def open_document(
    source: str, path: str, known: KnownIndexes, folders: ReadFile
) -> Document | None:
    """Read a file, and return None if it does not exist. Raises CommandError."""
    data = read(path)
    return None if data is None else Document(source, path, data, known, folders)


def remove_spans(text: str, spans: Iterable[Span]) -> str:
    """Return `text` without the spans, which do not overlap."""
    parts, at = [], 0
    for start, end in sorted(spans):
        parts.append(text[at:start])
        at = end
    return "".join(parts) + text[at:]


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
