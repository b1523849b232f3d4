"""Taking credentials over from elsewhere: the outcome of each, and whether its source may go.

Each credential is compared with the stored one, stored if it is new, and read back. Tokens of one
account for different projects are different credentials. A stored one
with another secret stays unless the user says `--replace`, and is never replaced by a second one of
the same run. An adopted one counts as different, because its only copy lies in a keyring. A dry run
does all of this but storing. No outcome holds a secret.
"""

from __future__ import annotations

from time import time

from tokenward.credentials.adopting import Adoption, passed_variables
from tokenward.credentials.listing import list_stored
from tokenward.credentials.storing import (
    choose_provider,
    entry_name,
    entry_of,
    fetch_stored,
    store,
)
from tokenward.errors import CommandError
from tokenward.ui.formatting import ahead_text, capitalise, credential_text
from tokenward_protocol.light import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward.credentials.storing import ProviderChoice
    from tokenward.session import Session

NEW, STORED, REPLACED = "new", "stored", "replaced"
ALREADY, DIFFERENT, FAILED = "already", "different", "failed"

HELD = {STORED, REPLACED, ALREADY}
"""The states in which this exact secret was read back from the agent."""


class ImportOutcome(Record):
    """The outcome, in a dry run the expected one, for one credential under one key.

    `state` is one of the above. `message` is the reason for DIFFERENT or FAILED, `hint` what helps,
    `notice` further advice.
    """

    state: str
    message: str = ""
    hint: str = ""
    notice: str = ""


class Takeover:
    """One run of `auth import` or `auth restore`. `adopted` is what stays in a keyring now."""

    def __init__(
        self, session: Session, flag: str | None, *, replace: bool, dry_run: bool = False
    ) -> None:
        """`flag` is the provider on the command line. Asks the agent what is stored."""
        self._session = session
        self._flag = flag
        self._replace = replace
        self._dry_run = dry_run
        self._choice: ProviderChoice | None = None
        self._done: set[tuple[str, str, str]] = set()
        entries: list[dict[str, Any]] = list_stored(session)[0]
        self.adopted = {(e["service"], e["username"]) for e in entries if e["adopted"]}
        self._sealed = {
            (e["service"], e["username"], entry_name(e.get("projects")))
            for e in entries
            if e["sealed"]
        }
        self._made = {(e["service"], e["username"]) for e in entries if e.get("command")}
        self._stored = {(e["service"], e["username"]) for e in entries}

    def place(self, key: str, typed: str, username: str) -> str:
        """Return the key to store under: with its `/simple/` if another account has the other key.

        The agent does the same for a login; keys without `/simple/` come first in a run.
        """
        others = any(at == key and user != username for at, user in self._stored)
        return typed if others or (typed, username) in self._stored else key

    def take(
        self,
        key: str,
        username: str,
        body: bytes,
        *,
        lifetime: int | None = None,
        origin: str = "",
    ) -> ImportOutcome:
        """Take one over; `lifetime` in seconds. Raises nothing that concerns this one only."""
        try:
            outcome = self._judge_stored(key, username, body)
            if outcome is None or outcome.state == REPLACED:
                outcome = outcome or ImportOutcome(NEW if self._dry_run else STORED)
                if not self._dry_run:
                    self._store(key, username, body, lifetime, origin)
        except CommandError as refused:
            return ImportOutcome(FAILED, str(refused), refused.hint)
        if outcome.state != DIFFERENT:
            self._done.add((key, username, entry_of(body)))
        self._stored.add((key, username))
        return outcome

    def adopt(self, key: str, username: str, provider: str) -> ImportOutcome:
        """Leave one in its keyring, as `auth login --adopt` does."""
        if (key, username) in self.adopted:
            return ImportOutcome(ALREADY)
        try:
            outcome = self._judge_stored(key, username, None) or ImportOutcome(STORED)
            if outcome.state != DIFFERENT:
                choice = choose_provider(self._session, self._flag or provider)
                choice.make_vault(self._session)
                adoption = Adoption(key, passed_variables(self._session.environ))
                store(self._session, key, username, b"", provider=choice.provider, adopt=adoption)
        except CommandError as refused:
            return ImportOutcome(FAILED, str(refused), refused.hint)
        return outcome

    def _judge_stored(self, key: str, username: str, body: bytes | None) -> ImportOutcome | None:
        """Return the outcome if what is stored there forbids storing, else None."""
        entry = "" if body is None else entry_of(body)
        adopted = (key, username) in self.adopted and not entry
        sealed = (key, username, entry) in self._sealed
        made = (key, username) in self._made
        unseen = adopted or sealed or made
        present = None
        if not unseen:
            present = fetch_stored(self._session, key, username, self._flag, entry)
        if present is None and not unseen:
            return None
        if present == body and not sealed:
            return ImportOutcome(ALREADY)
        if self._replace and (key, username, entry) not in self._done:
            return ImportOutcome(REPLACED)
        name = credential_text(username, key)
        why = "is stored already, with another secret"
        if unseen:
            why = "is adopted from a keyring" if adopted else "is stored and sealed"
            why = "is made by a command" if made else why
        return ImportOutcome(
            DIFFERENT,
            f"{capitalise(name)} {why}, so it stays as it is.",
            "`--replace` puts this one in its place",
        )

    def _store(
        self, key: str, username: str, body: bytes, lifetime: int | None, origin: str
    ) -> None:
        if self._choice is None:
            self._choice = choose_provider(self._session, self._flag)
            self._choice.make_vault(self._session)
        header = store(
            self._session,
            key,
            username,
            body,
            provider=self._choice.provider,
            lifetime=lifetime,
            origin=origin,
        )
        if header["kept"]:
            raise CommandError("It is an attenuated form of the stored token, which stays.")
        if lifetime is None and (end := header.get("expires")) is not None:
            self._session.terminal.say(f"It will be deleted {ahead_text(end, time() - 1)}.")
        entry = entry_of(body)
        if not entry:
            self.adopted.discard((key, username))
        self._made.discard((key, username))
        self._sealed.discard((key, username, entry))
        if fetch_stored(self._session, key, username, None, entry) != body:
            raise CommandError(
                f"The agent does not return {credential_text(username, key)} as it was stored."
            )
