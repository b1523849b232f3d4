"""Taking credentials over from elsewhere: what becomes of each, and whether its source may go.

Each is compared with what is stored, stored where it is new, and read back. What is stored already
with another secret stays as it is unless the user says `--replace`, and never gives way to a second
one of the same run; an adopted one counts as another, since its only copy lies elsewhere. A dry run
does all of it but storing. No secret is in any outcome.
"""

from __future__ import annotations

from tokenward.credentials.listing import stored
from tokenward.credentials.provider_choice import find_home
from tokenward.credentials.storing import fetched, store
from tokenward.errors import CommandError
from tokenward.ui.formatting import credential

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward.credentials.provider_choice import Home
    from tokenward.session import Session

NEW, STORED, REPLACED = "new", "stored", "replaced"
ALREADY, DIFFERENT, FAILED = "already", "different", "failed"

HELD = {STORED, REPLACED, ALREADY}
"""The states in which the very secret has been read back from the agent."""


class Outcome:
    """What became, or in a dry run would become, of one credential under one key.

    `state` is one of the above; in a dry run NEW and REPLACED have not been done. `message` says
    why where it is DIFFERENT or FAILED, `hint` what helps, `notice` what else is worth knowing.
    """

    __slots__ = ("hint", "message", "notice", "state")

    def __init__(self, state: str, message: str = "", hint: str = "", notice: str = "") -> None:
        self.state = state
        self.message = message
        self.hint = hint
        self.notice = notice


class Takeover:
    """One run of `auth import` or `auth restore`. `adopted` is what stays in a keyring now."""

    def __init__(
        self, session: Session, flag: str | None, *, replace: bool, dry_run: bool = False
    ) -> None:
        """`flag` is the provider that the command line names. Asks the agent what is stored."""
        self._session = session
        self._flag = flag
        self._replace = replace
        self._dry_run = dry_run
        self._home: Home | None = None
        self._done: set[tuple[str, str]] = set()
        entries: list[dict[str, Any]] = stored(session)[0]
        self.adopted = {(e["service"], e["username"]) for e in entries if e["adopted"]}
        self._sealed = {(e["service"], e["username"]) for e in entries if e["sealed"]}
        self._stored = {(e["service"], e["username"]) for e in entries}

    def place(self, key: str, typed: str, username: str) -> str:
        """Return under which key one goes: with its `/simple/` where another account is at the other.

        As the agent has it for a login; those without come first in a run.
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
    ) -> Outcome:
        """Take one over; `lifetime` in seconds. Raises nothing for what concerns it alone."""
        try:
            outcome = self._in_the_way(key, username, body)
            if outcome is None or outcome.state == REPLACED:
                outcome = outcome or Outcome(NEW if self._dry_run else STORED)
                if not self._dry_run:
                    self._store(key, username, body, lifetime, origin)
        except CommandError as refused:
            return Outcome(FAILED, str(refused), refused.hint)
        if outcome.state != DIFFERENT:
            self._done.add((key, username))
        self._stored.add((key, username))
        return outcome

    def adopt(self, key: str, username: str, provider: str) -> Outcome:
        """Leave one in the keyring that has it, as `auth login --adopt` does."""
        if (key, username) in self.adopted:
            return Outcome(ALREADY)
        try:
            outcome = self._in_the_way(key, username, None) or Outcome(STORED)
            if outcome.state != DIFFERENT:
                home = find_home(self._session, self._flag or provider)
                home.make(self._session)
                store(self._session, key, username, b"", provider=home.provider, adopt=key)
        except CommandError as refused:
            return Outcome(FAILED, str(refused), refused.hint)
        return outcome

    def _in_the_way(self, key: str, username: str, body: bytes | None) -> Outcome | None:
        """Return what is to be said of what is stored there now: None if that is nothing."""
        adopted, sealed = ((key, username) in each for each in (self.adopted, self._sealed))
        unseen = adopted or sealed
        present = None if unseen else fetched(self._session, key, username, self._flag)
        if present is None and not unseen:
            return None
        if present == body and not sealed:
            return Outcome(ALREADY)
        if self._replace and (key, username) not in self._done:
            return Outcome(REPLACED)
        name = credential(username, key)
        why = "is stored already, with another secret"
        if unseen:
            why = "is adopted from a keyring" if adopted else "is stored and sealed"
        return Outcome(
            DIFFERENT,
            f"{_capital(name)} {why}, so it stays as it is.",
            "`--replace` puts this one in its place",
        )

    def _store(
        self, key: str, username: str, body: bytes, lifetime: int | None, origin: str
    ) -> None:
        if self._home is None:
            self._home = find_home(self._session, self._flag)
            self._home.make(self._session)
        header = store(
            self._session,
            key,
            username,
            body,
            provider=self._home.provider,
            lifetime=lifetime,
            origin=origin,
        )
        if header["kept"]:
            raise CommandError("It is a narrower form of what is stored, so that stays as it is.")
        self.adopted.discard((key, username))
        self._sealed.discard((key, username))
        if fetched(self._session, key, username, None) != body:
            raise CommandError(
                f"The agent does not give back {credential(username, key)} as it was stored."
            )


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
