"""One line of the answer of `auth import`: a credential, its place, and its outcome."""

from __future__ import annotations

from tokenward.credentials.bulk_store import ALREADY, DIFFERENT, NEW, REPLACED, ImportOutcome
from tokenward_protocol.urls import display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward.sources.document import Document
    from tokenward.sources.found import ForeignCredential
    from tokenward.sources.system_keyring import Items

FOUND, SKIPPED = "found", "skipped"
"""States besides those of an outcome: only looked at; cannot be imported."""

_WOULD = {
    NEW: "would be stored",
    REPLACED: "would replace another secret",
    ALREADY: "is stored already",
    DIFFERENT: "differs from the stored one, and is left out",
}


class Row:
    """A credential under one key, or under none if its key is not known. It shows no secret."""

    def __init__(
        self,
        origin: Document | Items,
        found: ForeignCredential,
        key: str | None = None,
        outcome: ImportOutcome | None = None,
    ) -> None:
        self.source = origin.source
        self.file = origin.path
        self.found = found
        self.key = key
        state = SKIPPED if found.problem else FOUND
        self.outcome = outcome or ImportOutcome(state, found.problem, found.hint)
        self.removed = False

    @property
    def where(self) -> str:
        """Where it was, for the user."""
        return f"{self.found.place} in {self.file}"

    def as_json(self) -> dict[str, Any]:
        """Describe it for a program."""
        return {
            "source": self.source,
            "file": self.file,
            "place": self.found.place,
            "service": self.key,
            "username": self.found.username or None,
            "state": self.outcome.state,
            "message": self.outcome.message or None,
            "removed": self.removed,
        }

    def as_cells(self) -> tuple[str, ...]:
        """Return its cells in the table: service, user name, place, what would be done."""
        would = _WOULD.get(self.outcome.state, self.outcome.message)
        result = f"{would} ({self.outcome.notice})" if self.outcome.notice else would
        service = display(self.key) if self.key else "-"
        return service, self.found.username or "-", self.where, result
