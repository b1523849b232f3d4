"""A file with credentials, and the same file without some of them.

A removal cuts spans out of the text and changes nothing else: comments, order, blanks and line ends
stay. It counts only if the rest parses as expected: exactly the other credentials, each as before.
Pure, but `open_document` reads a file.
"""

from __future__ import annotations

from tokenward.errors import CommandError
from tokenward.files.reading import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenward.sources.found import ForeignCredential, Span
    from tokenward.sources.known import KnownIndexes

    ReadFile = Callable[[str, str, KnownIndexes], list[ForeignCredential]]

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
