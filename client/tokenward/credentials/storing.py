"""Storing a credential: its provider, the judgement of its secret, the storing, and reading it back.

Only a provider on the command line must be used. A provider from the settings that cannot be used
is reported and skipped; without either, the agent chooses. A missing vault is made.

The judgement of a secret is the protocol's (admission.py), and the agent repeats it for every
secret that it gets. Here it comes before a vault is made, an index asked or a secret compared. No
message holds a secret or a part of one.
"""

from __future__ import annotations

import sys
from time import time
from typing import NamedTuple

from tokenward.credentials import unlocking
from tokenward.credentials.narrowing import read_token
from tokenward.credentials.unlocking import given_passphrase, new_passphrase
from tokenward.errors import CommandError
from tokenward.keyring_program import on_path
from tokenward.transport.connect import AgentError
from tokenward.transport.connection import session_variables
from tokenward.ui.formatting import ago_text, credential_text, join_words
from tokenward.ui.secret_input import check_secret
from tokenward_protocol.admission import ROOM, TOKEN_USER, Expired, NotAdmitted, admit
from tokenward_protocol.light import Record
from tokenward_protocol.messages import MEMORY, vault_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from tokenward.credentials.adopting import Adoption
    from tokenward.session import Session


_SLOT = {"keyring": "keyring", "subprocess": "program"}
_BY_ITSELF = "dpapi" if sys.platform == "win32" else "key-file"


class ProviderChoice(Record):
    """A usable provider. `state` is that of its vault, as the agent reported it."""

    provider: str
    state: str
    program: str | None

    def make_vault(self, session: Session) -> None:
        """Make the vault if it does not exist. May ask for a new passphrase."""
        if self.state != "absent" and self.provider != "subprocess":
            return
        passphrase = b""
        slot = _SLOT.get(self.provider)
        if slot is None:
            passphrase = _new_passphrase(session) or b""
            slot = "passphrase" if passphrase else _BY_ITSELF
        wanted: dict[str, Any] = session_variables(session.environ)
        wanted |= {"provider": self.provider, "slot": slot, "program": self.program}
        unlocking.ask(session, "create", passphrase, offer=True, **wanted)
        if slot == "dpapi":
            session.terminal.say(
                "The vault opens by DPAPI, for this user of Windows: it protects copies of your"
                " files, but not against programs that run as you.",
                "`auth passphrase set` protects it by a passphrase",
            )
        if slot == "key-file":
            session.terminal.say(
                "The vault opens with a key file in your state directory: it protects copies of the"
                " credentials directory, but not against programs that can read your files.",
                "`auth passphrase set` protects it by a passphrase",
            )


def choose_provider(session: Session, flag: str | None) -> ProviderChoice:
    """Return the provider for a new credential. Raises CommandError and AgentError."""
    settings = session.settings
    program, passed_over = on_path.find_program(session.environ, settings.cwd)
    chosen = settings.provider(flag, lambda: program is not None)
    variables: dict[str, Any] = session_variables(session.environ)
    wanted: dict[str, Any] = {"provider": chosen.name, **variables}
    if chosen.name == "subprocess":
        wanted["program"] = program
    try:
        header = session.ask_once("prepare", **wanted).header
    except AgentError as refused:
        if chosen.name is None or refused.code != "provider":
            raise
        why = str(refused)
        if chosen.name == "subprocess" and program is None:
            why = on_path.none_found_sentence(passed_over)
        if chosen.explicit:
            raise CommandError(why, refused.hint) from None
        session.terminal.warn(f"{chosen.chosen_by} names the provider {chosen.name}: {why}")
        header = session.ask_once("prepare", **variables).header
    else:
        if chosen.name is not None:
            session.terminal.detail(f"The provider is {chosen.name}, by {chosen.chosen_by}.")
    if header["note"]:
        session.terminal.say(str(header["note"]))
    provider = str(header["provider"])
    return ProviderChoice(
        provider, str(header["state"]), program if provider == "subprocess" else None
    )


def _new_passphrase(session: Session) -> bytes | None:
    """Return the new vault's passphrase, or None for a vault without one."""
    if not session.terminal.is_there():
        return given_passphrase(session.environ)
    session.terminal.say(
        "With a passphrase only you open the vault, and you type it after each start and each sleep;"
        " without one, every program that can read your files can open it."
    )
    instead = "DPAPI" if sys.platform == "win32" else "a key file"
    return new_passphrase(
        session, f"New passphrase for the vault (empty: {instead}):", may_be_empty=True
    )


__all__ = ["TOKEN_USER", "CheckedSecret", "ExpiredError", "check_secret_for"]


class ExpiredError(CommandError):
    """The token that is to be stored has expired."""


class CheckedSecret(NamedTuple):
    """The body to store, and notices for the user."""

    body: bytes
    notices: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<CheckedSecret, {len(self.body)} bytes>"


def check_secret_for(keys: Iterable[str], username: str, secret: str | bytes) -> CheckedSecret:
    """Judge a secret that is to be stored under each of `keys`, which are canonical services.

    Raises CommandError with the reason if the agent would refuse it.
    """
    body = check_secret(secret) if isinstance(secret, str) else secret
    said: list[str] = []
    for key in keys:
        room = memoryview(bytearray(ROOM))
        try:
            found = admit(key, username, memoryview(body), room, int(time()))
        except Expired as no:
            raise ExpiredError(str(no), no.hint) from None
        except NotAdmitted as no:
            raise CommandError(str(no), no.hint) from None
        body = body[found.start : found.stop]
        said += filter(None, (found.changed, found.notice))
    return CheckedSecret(body, tuple(dict.fromkeys(said)))


def store(
    session: Session,
    key: str,
    username: str,
    body: bytes,
    *,
    provider: str | None,
    lifetime: int | None = None,
    adopt: Adoption | None = None,
    sealed: bool = False,
    origin: str = "",
    typed: str = "",
    trust: str | None = None,
) -> dict[str, Any]:
    """Store under one key, report it, and return the agent's answer. Raises AgentError.

    `lifetime` is in seconds. With `adopt` there is no body. `origin` ends
    the report. With a key as it was `typed` the agent decides whether its `/simple/` counts; the
    answer's `service` is the key. `trust` are the marks of what the environment names towards the
    index. An attenuated form of the stored token is not stored: then the answer's `kept` is true.
    """
    header: dict[str, Any] = unlocking.ask(
        session,
        "login",
        body if adopt is None else adopt.variables,
        offer=True,
        service=None if typed else key,
        spelling=typed or None,
        username=username,
        provider=provider,
        lifetime=lifetime,
        sealed=sealed or None,
        trust=trust,
        **({} if adopt is None else adopt.arguments()),
    ).header
    header.setdefault("service", key)  # an older agent does not send it
    projects = header.get("projects")
    which = f" ({join_words(projects)})" if projects else ""
    what = f"{credential_text(username, header['service'])}{which}"
    adopted = adopt is not None
    session.terminal.say(_outcome_text(header, what, origin, adopted=adopted, sealed=sealed))
    for note in header["notes"]:
        session.terminal.say(str(note))
    return header


def _outcome_text(
    header: dict[str, Any], what: str, origin: str, *, adopted: bool, sealed: bool
) -> str:
    """Return a sentence about the outcome of a login."""
    if header["kept"]:
        return f"This is an attenuated form of {what}, which is stored already and stays."
    before = header["before"]
    verb = "Adopted" if adopted else "Stored" if before is None else "Replaced"
    since = "" if before is None else f"; the one before was stored {ago_text(before, time())}"
    place = "memory" if header["provider"] == MEMORY else f"the {vault_name(header['provider'])}"
    where = f"in {place}{', sealed' if sealed else ''}"
    return f"{verb} {what} {where}{origin}{since}."


def entry_name(projects: Iterable[str] | None) -> str:
    """Return the name of an entry among several of an account: the projects of its token."""
    return " ".join(projects or ())


def entry_of(body: bytes) -> str:
    """Return the name of the entry under which a secret is stored."""
    token = read_token(body)
    return entry_name(None if token is None else sorted(set(token.scope.projects or ())))


def fetch_stored(
    session: Session, key: str, username: str, provider: str | None, entry: str | None = None
) -> bytes | None:
    """Return the whole secret stored under exactly this key, user name and entry, or None.

    The agent answers with the longest path. So an answer for a shorter path means that nothing is
    stored under the key itself. Raises AgentError: `locked`, `refused` for a sealed one, or others.
    """
    try:
        answer = unlocking.ask(
            session,
            "fetch",
            offer=True,
            service=key,
            username=username,
            provider=provider,
            entry=entry,
            whole=True,
        )
    except AgentError as refused:
        if refused.code != "not-found":
            raise
        return None
    exact = (answer.header["service"], answer.header["username"]) == (key, username)
    return answer.body if exact else None
