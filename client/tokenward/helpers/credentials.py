"""The operations of a credential helper: look a credential up, store one, and remove one.

Another program runs a helper, so it never prompts; a passphrase that the environment leads to opens
a vault that is closed but not locked. If nothing was ever stored for the URL, a closed vault or a
missing agent is a miss, so that the tool's other sources answer. So is everything behind a relay,
which adds the credentials itself, and a URL that cannot have a credential (another scheme, `http` to
another machine). A credential is removed only if the tool means exactly that one: the same service,
and the same secret if the tool sends one.
"""

from __future__ import annotations

from tokenward.credentials import lookup, unlocking
from tokenward.errors import CommandError
from tokenward.keyring_program.agent_client import RUN
from tokenward.settings import service_names
from tokenward.transport.connect import AgentAbsent, AgentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward.credentials.lookup import FoundCredential
    from tokenward.session import Session
    from tokenward.settings.service_names import Service


def is_in_run(session: Session) -> bool:
    """Return whether this is below the command of a run."""
    return bool(session.environ.get(RUN))


def service_of(url: str) -> Service | None:
    """Return the service of a URL with a scheme; None if it cannot have a credential."""
    try:
        return service_names.resolve(url, lambda: service_names.Names(()))
    except CommandError:
        return None


def find(
    session: Session, service: Service, username: str | None, which: str = ""
) -> FoundCredential | None:
    """Return the credential as `auth token` finds it. Raises CommandError, also for a closed vault.

    `which` is the hint for several accounts: how the user tells this tool which one to use.
    """
    if is_in_run(session):
        return None
    try:
        return lookup.find_credential(session, service, username)
    except AgentError as error:
        if lookup.was_never_stored(session, service, error):
            return None
        if error.code != "ambiguous":
            raise
        raise CommandError(str(error), which) from None
    except AgentAbsent as error:
        if lookup.was_never_stored(session, service, error):
            return None
        raise


def keep(
    session: Session, service: Service, username: str, secret: str, lifetime: int | None = None
) -> None:
    """Store a credential under exactly this service, as `auth login` does. Raises CommandError.

    `lifetime` is in seconds. Behind a relay nothing is stored.
    """
    lookup.require_outside_of_runs(session)
    from tokenward.credentials.provider_choice import choose_provider
    from tokenward.credentials.token_format import check_secret_for as judged

    checked = judged((service.key,), username, secret)
    choice = choose_provider(session, None)
    choice.make_vault(session)
    header = unlocking.ask(
        session,
        "login",
        checked.body,
        service=service.key,
        username=username,
        provider=choice.provider,
        lifetime=lifetime,
    ).header
    for note in (*checked.notices, *header["notes"]):
        session.terminal.warn(str(note))


def forget(
    session: Session, service: Service, username: str | None, refused: str | None = None
) -> bool:
    """Remove the credential of exactly this service; return False if it does not exist.

    With `refused`, only a credential with this secret is removed. Behind a relay none is.
    """
    if is_in_run(session):
        return False
    if refused is not None:
        try:
            answer = unlocking.ask(session, "fetch", service=service.key, username=username)
        except (AgentError, AgentAbsent) as error:
            if not _is_miss(session, service, error):
                raise
            return False
        if answer.body != refused.encode():
            return False
    try:
        unlocking.ask(session, "logout", service=service.key, username=username)
    except (AgentError, AgentAbsent) as error:
        if not _is_miss(session, service, error):
            raise
        return False
    return True


def _is_miss(session: Session, service: Service, error: CommandError) -> bool:
    missing = isinstance(error, AgentError) and error.code == "not-found"
    return missing or lookup.was_never_stored(session, service, error)


def stored_accounts(session: Session) -> tuple[set[tuple[str, str]], bool]:
    """Return service and user name of every credential, and whether a closed vault has more."""
    found: set[tuple[str, str]] = set()
    after: Any = None
    while True:
        header = unlocking.ask(session, "list", after=after).header
        found |= {(entry["service"], entry["username"]) for entry in header["entries"]}
        after = header["next"]
        if after is None:
            return found, bool(header["closed"])
