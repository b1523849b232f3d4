"""`auth import`: take over the credentials that other tools keep in plain text or in a keyring.

Without a source it only lists them, and asks no agent and no keyring. `--remove` deletes a secret
from its source once it is stored here and was read back; every other secret stays in its source.
"""

from __future__ import annotations

from tokenward import sources
from tokenward.credentials import storing
from tokenward.credentials.bulk_store import (
    ALREADY,
    DIFFERENT,
    FAILED,
    HELD,
    NEW,
    REPLACED,
    ImportOutcome,
    Takeover,
)
from tokenward.errors import CommandError
from tokenward.settings import directories
from tokenward.sources import gather
from tokenward.sources.document import Document, remove_secrets
from tokenward.ui.argument_parser import one_of
from tokenward.ui.formatting import count_of, credential_text
from tokenward_protocol.urls import display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tokenward.commands import Namespace, Parser, Session
    from tokenward.sources.found import ForeignCredential, KnownIndexes
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


def describe(parser: Parser, _command: str) -> None:
    """Add options and examples."""
    what = f"{', '.join(sources.NAMES)}; without one: list the credentials of each"
    parser.add_positional("sources", "[SOURCE]...", what, nargs="*", type=one_of(sources.NAMES))
    parser.add_flag("--dry-run", "show what would be done, and do nothing")
    parser.add_flag(
        "--remove", "delete each secret from its source once it is stored and read back"
    )
    parser.add_flag("--replace", "replace a stored secret that differs")
    parser.add_option(
        "--host",
        "HOST",
        "import this netrc host as that of an index; may be repeated",
        action="append",
        default=[],
    )
    parser.add_provider("where to store them (default: the agent chooses)")
    parser.examples(
        "auth import                        list the credentials of other tools",
        "auth import pypirc uv --dry-run    show what would be done",
        "auth import pypirc uv --remove     import, then delete the secrets from the files",
    )


def run(arguments: Namespace, session: Session) -> None:
    """List the credentials, or import what was named."""
    known = gather(
        session.settings, session.environ, directories.home(session.environ), arguments.host
    )
    if not arguments.sources:
        if arguments.remove or arguments.replace or arguments.dry_run:
            raise CommandError("No source is named.", f"name {', '.join(sources.NAMES)}")
        _show(session, known)
        return
    work = _Import(arguments, session, known)
    for source in dict.fromkeys(arguments.sources):
        work.take(source)
    work.end()


def _show(session: Session, known: KnownIndexes) -> None:
    """List the credentials of each file. No agent and no keyring is asked."""
    rows: list[Row] = []
    for source in sources.FILES:
        try:
            for origin in _open_source(session, source, known):
                for found in origin.found:
                    rows += [Row(origin, found, key) for key in found.services or (None,)]
        except CommandError as error:
            session.terminal.warn(str(error), error.hint)
    shown = [row for row in rows if not row.found.foreign]
    if session.json:
        session.write_json({"dry_run": True, "credentials": [row.as_json() for row in rows]})
    elif shown:
        heading = ("SOURCE", "SERVICE", "USER NAME", "FROM")
        session.terminal.table([heading, *((row.source, *row.as_cells()[:3]) for row in shown)])
    else:
        session.terminal.say("The files of other tools hold no credential for an index.")
    if shown:
        names = " ".join(dict.fromkeys(row.source for row in shown))
        session.terminal.hint(f"`auth import {names} --dry-run` shows what an import would do")
    session.terminal.hint("`auth import keyring` looks into the system keyring as well")


def _open_source(session: Session, source: str, known: KnownIndexes) -> Iterator[Document | Items]:
    """Yield the existing places of a source. Raises CommandError."""
    if source == sources.KEYRING:
        from tokenward.sources import system_keyring

        yield system_keyring.Items(system_keyring.backends(), known)
        return
    home = directories.home(session.environ)
    yield from sources.documents(source, session.environ, home, known)


class _Import:
    """One run, which takes credentials over source by source."""

    def __init__(self, arguments: Namespace, session: Session, known: KnownIndexes) -> None:
        self._dry_run, self._remove = arguments.dry_run, arguments.remove
        self._session = session
        self._say = session.terminal
        self._known = known
        self._rows: list[Row] = []
        self._troubles = 0
        self._takeover = Takeover(
            session,
            arguments.keyring_provider,
            replace=arguments.replace,
            dry_run=arguments.dry_run,
        )

    def take(self, source: str) -> None:
        """Take over the credentials of a source, each of its files by itself."""
        before = len(self._rows)
        try:
            for origin in _open_source(self._session, source, self._known):
                self._take_from(origin)
        except CommandError as error:
            self._trouble(str(error), error.hint)
            return
        if before == len(self._rows):
            where = "There" if source == sources.KEYRING else self._places(source)
            self._say.say(f"{where} is nothing to import.")

    def end(self) -> None:
        """Print the answer. Raises CommandError if something was not done."""
        rows = self._rows
        if self._dry_run and rows and not self._session.json:
            shown = [row.as_cells() for row in rows if not row.found.foreign]
            self._say.table([("SERVICE", "USER NAME", "FROM", "RESULT"), *shown])
        self._session.write_json(
            {"dry_run": self._dry_run, "credentials": [row.as_json() for row in rows]}
        )
        left = sum(row.outcome.state in {DIFFERENT, FAILED} for row in rows)
        if self._dry_run and not self._troubles:
            return
        if left:
            raise CommandError(f"Not imported: {count_of(left, 'credential')}.")
        if self._troubles:
            raise CommandError("The import is not complete.")

    def _take_from(self, origin: Document | Items) -> None:
        # Keys without `/simple/` come first: then another account's key that has it stays apart.
        ordered = sorted(origin.found, key=lambda found: found.typed != found.services)
        rows = [row for found in ordered for row in self._take_found(origin, found)]
        self._rows += rows
        foreign = [row for row in rows if row.found.foreign]
        if foreign:
            hosts = f"{count_of(len(foreign), 'entry')} of {origin.path}".replace(
                "entrys", "entries"
            )
            self._say.say(
                f"Skipped, because none of your files names an index on these hosts: {hosts}.",
                "`--host HOST` imports it as the host of an index",
            )
        if self._dry_run:
            return
        for row in rows:
            self._report(row)
        if self._remove:
            self._clean(origin, rows)

    def _take_found(self, origin: Document | Items, found: ForeignCredential) -> Iterator[Row]:
        if found.problem:
            yield Row(origin, found)
            return
        for stripped, typed in zip(found.services, found.typed, strict=True):
            key = self._takeover.place(stripped, typed, found.username)
            yield Row(origin, found, key, self._take_one(origin, found, key))

    def _take_one(
        self, origin: Document | Items, found: ForeignCredential, key: str
    ) -> ImportOutcome:
        """Check one credential as a login does, and take it over."""
        try:
            checked = storing.check_secret_for((key,), found.username, found.secret)
        except CommandError as refused:
            return ImportOutcome(FAILED, str(refused), refused.hint)
        source = f", from {found.place} in {origin.path}"
        outcome = self._takeover.take(key, found.username, checked.body, origin=source)
        outcome.notice = " ".join(checked.notices)
        return outcome

    def _report(self, row: Row) -> None:
        """Report the outcome for one credential, except that it was stored, which was reported."""
        outcome = row.outcome
        if outcome.state == ALREADY:
            name = credential_text(row.found.username, row.key or "")
            self._say.say(f"Already stored, as in {row.where}: {name}.")
        elif outcome.message and not row.found.foreign:
            self._say.warn(f"Not imported from {row.where}: {outcome.message}", outcome.hint)
        self._say.warn(outcome.notice)

    def _clean(self, origin: Document | Items, rows: list[Row]) -> None:
        """Delete the secrets that are stored now under each of their keys."""
        open_ones = {id(row.found) for row in rows if row.outcome.state not in HELD}
        settled = [found for found in origin.found if id(found) not in open_ones]
        if not settled:
            return
        try:
            if isinstance(origin, Document):
                was_open = remove_secrets(origin, settled)
            else:
                was_open = False
                origin.remove(settled)
        except CommandError as error:
            self._trouble(str(error), error.hint)
            return
        for row in rows:
            row.removed = row.found in settled
        self._say.say(f"Deleted {count_of(len(settled), 'secret')} from {origin.path}.")
        if was_open:
            self._say.warn(
                f"Other users could read {origin.path}, so they may have the secret.",
                "make a new one at the index, and revoke this one",
            )
        if origin.source == "netrc":
            self._say.hint(
                "curl, git and others read netrc files, too, and do not find it there now"
            )

    def _trouble(self, message: str, hint: str) -> None:
        self._troubles += 1
        self._say.warn(message, hint)

    def _places(self, source: str) -> str:
        """Name the files without a credential, as the beginning of a sentence."""
        home = directories.home(self._session.environ)
        return f"In {' and '.join(sources.paths(source, self._session.environ, home))} there"
