"""What all helper programs share: their process, and looking credentials up, storing and removing them.

A tool starts a helper, writes to its stdin and reads its stdout, so it never prompts; a passphrase
that the environment leads to opens a vault that is closed but not locked. Input has a limit, and is
refused if it is not UTF-8. Errors are the messages of the rest of the client; a tool that shows one
line gets sentence and hint in one.

If nothing was ever stored for the URL, a closed vault or a missing agent is a miss, so that the
tool's other sources answer. So is everything behind a relay, which adds the credentials itself, and
a URL that cannot have a credential (another scheme, `http` to another machine). A credential is
removed only if the tool means exactly that one: the same service, and the same secret if the tool
sends one.
"""

from __future__ import annotations

import os

from tokenward.credentials import lookup, unlocking
from tokenward.ending import leave
from tokenward.errors import CommandError
from tokenward.session import Session
from tokenward.settings import service_names
from tokenward.transport.connect import AgentAbsent, AgentError
from tokenward.ui.secret_input import read_stdin
from tokenward.ui.terminal import OutputClosedError, Terminal
from tokenward_protocol.light import parse_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from tokenward.credentials.lookup import FoundCredential
    from tokenward.settings.service_names import Service


FAILED = 2

MAX_INPUT = 256 * 1024
"""The maximum length of a tool's input in bytes: the longest secret, escaped, and more."""


def run(work: Callable[[Session], int]) -> int:
    """Do `work` in a session that never prompts, and end the process; or return the exit status.

    Its errors are printed to stderr.
    """
    return leave(_done(work))


def _done(work: Callable[[Session], int]) -> int:
    terminal = Terminal(os.environ)
    terminal.attended = False
    try:
        session = Session(terminal, os.environ, json=False)
        try:
            return work(session)
        finally:
            session.close()
    except CommandError as failed:
        terminal.fail(str(failed), failed.hint)
    except KeyboardInterrupt:
        terminal.fail("Interrupted.")
    except OutputClosedError:
        pass  # stdout has no reader
    return FAILED


def read_text() -> str:
    """Read stdin to its end. Raises CommandError if it is not text."""
    return _decode(read_stdin(MAX_INPUT))


def read_lines() -> Iterator[str]:
    """Yield the lines of stdin as they come. Raises CommandError if they are not text."""
    while line := read_stdin(MAX_INPUT, line=True):
        yield _decode(line)


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass  # raised below: the exception would hold the input
    raise CommandError("Standard input is not UTF-8 text.")


def parse_object(text: str, otherwise: str, hint: str = "") -> dict[str, Any]:
    """Return the JSON object in a text. Raises CommandError with the sentence `otherwise`."""
    try:
        found = parse_json(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise CommandError(otherwise, hint)
    return found


def error_line(error: CommandError) -> str:
    """Return sentence and hint in one line, for a tool that shows one."""
    return f"{error} ({error.hint})" if error.hint else str(error)


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
    if session.is_in_run:
        return None
    try:
        return lookup.find_credential(session, service, username, several=which)
    except (AgentError, AgentAbsent) as error:
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
    from tokenward.credentials.storing import check_secret_for as judged
    from tokenward.credentials.storing import choose_provider

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

    Of one that a command makes, only what it made is forgotten. With `refused`, only a credential
    with this secret is removed. Behind a relay none is.
    """
    if session.is_in_run:
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
        unlocking.ask(session, "logout", service=service.key, username=username, refused=True)
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
    from tokenward.credentials.listing import list_all

    entries, closed = list_all(lambda op, **more: unlocking.ask(session, op, **more))
    return {(entry["service"], entry["username"]) for entry in entries}, bool(closed)
