"""Opening vaults: where the passphrase comes from, and when a command may open a vault unasked.

The passphrase comes from `$TOKENWARD_PASSPHRASE_FILE`, a private file; else from
`$TOKENWARD_ASKPASS`, a program that prints it; else from the user at the terminal. The client reads
the file and runs the program; the agent never does.

A *closed* vault (after a restart, or locked by a timer) is opened by any command that can, which
then asks the agent again (`ask`). A vault that the user *locked* stays locked: only `auth unlock`
or the user, prompted on a terminal, ends that.
"""

from __future__ import annotations

import os
import stat
import sys

from tokenward.errors import CommandError
from tokenward.transport.connect import AgentError
from tokenward.ui.secret_input import MAX_INPUT, one_line
from tokenward_os.files import open_to_others, uid
from tokenward_protocol.messages import vaults_are

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from tokenward.session import Session
    from tokenward.transport.connect import Answer
    from tokenward.ui.terminal import Terminal

MAX_PASSPHRASE = 64 * 1024
"""The maximum length of a passphrase in bytes: the body of one frame."""

_SOURCES = ("TOKENWARD_PASSPHRASE_FILE", "TOKENWARD_ASKPASS")
"""The variables that lead to a passphrase, the first one first."""

BY_FILE = "set TOKENWARD_PASSPHRASE_FILE to a file of mode 600 that holds it"
"""What helps where a passphrase is not typed."""

TRIES = 3
"""How often the user is asked for the same passphrase."""


def given_passphrase(environ: Mapping[str, str]) -> bytes | None:
    """Return the passphrase that the environment leads to, or None without such a variable.

    Raises CommandError if it cannot be used.
    """
    if path := environ.get("TOKENWARD_PASSPHRASE_FILE"):
        return passphrase_of(path, "TOKENWARD_PASSPHRASE_FILE names it")
    if program := environ.get("TOKENWARD_ASKPASS"):
        return _usable(_from_program(program), f"The program {program} of TOKENWARD_ASKPASS")
    return None


def passphrase_of(path: str, hint: str) -> bytes:
    """Return the passphrase in a private file; `hint` says what names the file.

    Raises CommandError.
    """
    try:
        with open(path, "rb") as file:
            found = os.fstat(file.fileno())
            if open_to_others(found.st_mode) and stat.S_ISREG(found.st_mode):
                raise CommandError(
                    f"Other users can read the passphrase file {path}.",
                    f"`chmod 600 {path}`"
                    if _is_ours_to_change(file.fileno(), found.st_uid)
                    else f"it was put there for you: have it mounted with mode 0400 for uid {uid()},"
                    f" or `install -m 600 {path} COPY` and name the copy",
                )
            data = file.read(MAX_INPUT)
    except OSError as failed:
        raise CommandError(
            f"The passphrase file {path} cannot be read: {failed.strerror}.", hint
        ) from None
    return _usable(data, f"The passphrase file {path}")


def _is_ours_to_change(file: int, owner: int) -> bool:
    """Return whether this user can change a file's mode; not if a container engine mounted it."""
    if sys.platform == "win32":
        return True
    return uid() in {owner, 0} and not os.fstatvfs(file).f_flag & os.ST_RDONLY


def _from_program(program: str) -> bytes:
    import subprocess

    try:
        done = subprocess.run(
            [program, "Passphrase for tokenward:"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=False,
        )
    except OSError as failed:
        raise CommandError(
            f"The program {program} cannot be run: {failed.strerror}.", "TOKENWARD_ASKPASS names it"
        ) from None
    if done.returncode:
        raise CommandError(f"The program {program} of TOKENWARD_ASKPASS gave no passphrase.")
    return done.stdout


def _usable(data: bytes, what: str) -> bytes:
    """Return the one line. Raises CommandError if it cannot be a passphrase."""
    data = one_line(data, what)
    if not data:
        raise CommandError(f"{what} holds no passphrase.")
    if len(data) > MAX_PASSPHRASE:
        raise CommandError(f"{what} holds more than {MAX_PASSPHRASE} bytes.")
    return data


def export_passphrase(session: Session, file: str | None) -> bytes | None:
    """Return the passphrase of an export in a file, None if the user is to be asked for it.

    Raises CommandError if the user cannot be asked.
    """
    if file:
        return passphrase_of(file, "`--passphrase-file` names it")
    if session.terminal.is_there():
        return None
    raise CommandError(
        "There is no terminal to ask for the export's passphrase.",
        "`--passphrase-file` names a private file that holds it",
    )


def new_passphrase(session: Session, question: str, *, may_be_empty: bool) -> bytes | None:
    """Return a passphrase for a new vault: from the environment, else typed twice.

    None is an empty answer. Raises CommandError if the user cannot be asked.
    """
    given = given_passphrase(session.environ)
    if given is not None:
        return given
    if not session.terminal.is_there():
        raise CommandError(
            "There is no terminal to ask for a new passphrase.",
            "set TOKENWARD_PASSPHRASE_FILE to a private file that holds it",
        )
    return ask_twice(session.terminal, question, may_be_empty=may_be_empty)


def ask_twice(terminal: Terminal, question: str, *, may_be_empty: bool) -> bytes | None:
    """Return a passphrase that was typed the same twice; None for an empty answer.

    Raises CommandError if the user types none.
    """
    with terminal.unseen():
        for _ in range(TRIES):
            first = terminal.ask_secret(question)
            if not first and may_be_empty:
                return None
            if not first:
                terminal.say("The passphrase must not be empty.")
            elif terminal.ask_secret("The same again:") == first:
                return _usable(first.encode(), "The answer")
            else:
                terminal.say("The two passphrases differ.")
    raise CommandError("No new passphrase was given.")


def unlock(
    session: Session,
    provider: str | None = None,
    *,
    attended: bool = True,
    program: str | None = None,
) -> dict[str, Any]:
    """Open a provider's vault, or all of them, and return the agent's answer.

    First without a passphrase; if one is needed, with the environment's or the user's. If not
    `attended`, a keyring gets no time to prompt the user. `program` is the `keyring` program to
    choose. Raises AgentError and CommandError.
    """
    from tokenward.transport.connection import session_variables

    arguments: dict[str, Any] = {"provider": provider, **session_variables(session.environ)}
    arguments["attended"] = attended or None
    arguments["program"] = program
    header: dict[str, Any] | None = None
    refused: AgentError | None = None
    try:
        header = session.ask_once("unlock", **arguments).header
    except AgentError as error:
        if error.code != "passphrase-needed":
            raise
        refused = error
    if header and not any(vault["needs"] == "passphrase" for vault in header["closed"]):
        return header
    given = given_passphrase(session.environ)
    if given is not None:
        return _try_given(session, given, arguments)
    if session.terminal.is_there():
        return _ask_passphrase(session, arguments)
    if header:
        return header
    raise refused or AssertionError


def _try_given(session: Session, phrase: bytes, arguments: dict[str, Any]) -> dict[str, Any]:
    """Unlock by the environment's passphrase. Raises AgentError, which names where it came from."""
    try:
        return session.ask_once("unlock", phrase, **arguments).header
    except AgentError as refused:
        if refused.code != "wrong-passphrase":
            raise
        variable = next(name for name in _SOURCES if session.environ.get(name))
        raise AgentError(
            refused.code,
            f"The passphrase of {session.environ[variable]} ({variable}) does not open the vault.",
            f"correct it there, or unset {variable} to be asked on a terminal",
            refused.header,
        ) from None


def _ask_passphrase(session: Session, arguments: dict[str, Any]) -> dict[str, Any]:
    with session.terminal.unseen():
        for left in reversed(range(TRIES)):
            typed = session.terminal.ask_secret("Passphrase:")
            if not typed:
                raise CommandError("No passphrase was given.", BY_FILE)
            try:
                return session.ask_once("unlock", typed.encode(), **arguments).header
            except AgentError as refused:
                if refused.code != "wrong-passphrase":
                    raise
                if not left:
                    raise CommandError(str(refused), "look at Caps Lock, then try again") from None
                session.terminal.say("The passphrase is wrong.")
    raise AssertionError("the last try returns or raises")


def ask(
    session: Session, op: str, body: bytes = b"", *, offer: bool = False, **arguments: Any
) -> Answer:
    """Ask the agent; open a closed vault and prompt the user for approval if needed.

    `offer`: the user may also be prompted to end a lock. Raises AgentError.
    """
    try:
        return session.ask_with_consent(op, body, **arguments)
    except AgentError as refused:
        closed = refused.header.get("vaults") or [None]
        if refused.code != "locked" or not reopen(session, closed, offer=offer):
            raise
    return session.ask_with_consent(op, body, **arguments)


def reopen(
    session: Session, providers: Iterable[str | None] = (None,), *, offer: bool = False
) -> bool:
    """Try to open closed vaults of these providers (None: all); return whether one was opened.

    `offer`: the user may be prompted on a terminal to end a lock.
    """
    status = session.ask_once("status").header
    if status["locked"]:
        return offer and session.terminal.is_there() and _end_lock(session, status)
    opened = False
    for provider in providers:
        try:
            attended = session.terminal.is_there()
            opened = bool(unlock(session, provider, attended=attended)["opened"]) or opened
        except AgentError as failed:
            if failed.code not in {"passphrase-needed", "provider", "vault"}:
                raise
            session.terminal.detail(str(failed))
    return opened


def _end_lock(session: Session, status: dict[str, Any]) -> bool:
    """Prompt the user to unlock: for the passphrase if one is needed, else yes or no."""
    locked = [vault for vault in status["vaults"] if vault["state"] == "locked"]
    asks = [any(slot["kind"] == "passphrase" for slot in vault["slots"]) for vault in locked]
    session.terminal.say(
        f"The {vaults_are(it['provider'] for it in locked)} locked."
        if locked
        else "The agent is locked."
    )
    if not (asks and all(asks)) and not session.terminal.confirm("Unlock it?"):
        return False
    unlock(session)
    return True
