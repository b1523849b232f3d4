"""`git-credential-tokenward`: git's credential helper, for `credential.helper = tokenward`.

git writes lines of `key=value`, ended by an empty line or the end, and reads the same. The path is
sent only with `credential.useHttpPath`. Unknown operations and attributes are ignored. A miss is no
output, so git asks its next helper; `quit` is never sent. stderr gets only the reason why a stored
credential cannot be used, once for each command of a shell: git starts this program for every
repository, and again to store.

After each success git stores the credential, whatever its source. If we would answer with it anyway
it is not stored: that would make an entry for each path, copy a credential of a variable or of
.pypirc, and remove the expiry of one that has it.

https://git-scm.com/docs/gitcredentials
"""

from __future__ import annotations

import os
import sys
from time import time

from tokenward.errors import CommandError
from tokenward.helpers import program
from tokenward.transport.connect import AgentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward.credentials.lookup import FoundCredential
    from tokenward.session import Session
    from tokenward.settings.service_names import Service

_IN_PATH = b"/-._~!$&'()*+,;=:@"
"""RFC 3986 leaves these unescaped in a path, beside letters and digits; git decodes all the rest."""

_NOT_IN_HOST = frozenset("@/?#")  # any of them would change which part is the host


def work(session: Session) -> int:
    """Run git's operation; return the exit status, which git ignores."""
    if len(sys.argv) != 2:
        raise CommandError(
            "`git-credential-tokenward` is run by git with get, store or erase.",
            "`git config --global credential.helper tokenward`",
        )
    try:
        run(sys.argv[1], program.read_text(), session)
    except AgentError as refused:
        from tokenward.keyring_program.agent_client import is_first_time

        if refused.code not in {"locked", "vault"} or is_first_time(_job()):
            raise
    return 0


def _job() -> str:
    """Return the id of the process group: one command of a shell, with all that git starts."""
    if sys.platform == "win32":
        return str(os.getppid())
    return str(os.getpgrp())


def run(operation: str, text: str, session: Session) -> None:
    """Run one operation, and answer on stdout. Raises CommandError."""
    if operation not in {"get", "store", "erase"} or session.is_in_run:
        return
    said = attributes(text)
    service = service_of(said)
    if service is None:
        return
    username, password = said.get("username") or None, said.get("password")
    if operation == "get":
        which = "write the user name into the URL, or into credential.username"
        if found := program.find(session, service, username, which):
            session.terminal.data(answer(found))
    elif operation == "erase":
        program.forget(session, service, username, password)
    elif password is not None and "username" in said and (username or password):
        known = program.find(session, service, said["username"])
        lifetime = _lifetime(said.get("password_expiry_utc"), int(time()))
        is_over = lifetime is not None and lifetime <= 0
        if not is_over and (known is None or known.secret != password.encode()):
            program.keep(session, service, said["username"], password, lifetime)


def attributes(text: str) -> dict[str, str]:
    """Parse git's lines. Raises CommandError if they are not git's."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        if not line:
            break
        key, equals, value = line.partition("=")
        if not equals or "\0" in line:
            raise CommandError("Standard input is not a credential description of git.")
        found[key] = value
    return found


def service_of(said: dict[str, str]) -> Service | None:
    """Return the service of a description; None if it cannot have a credential."""
    protocol, host = said.get("protocol", ""), said.get("host", "")
    if not protocol or not host or _NOT_IN_HOST & set(host):
        return None
    path = "".join(
        chr(byte)
        if byte in _IN_PATH or (chr(byte).isascii() and chr(byte).isalnum())
        else f"%{byte:02X}"
        for byte in said.get("path", "").encode()
    )
    return program.service_of(f"{protocol}://{host}/{path}")


def answer(found: FoundCredential) -> str:
    """Return the lines for git, without the last newline. Raises CommandError."""
    said = {"username": found.username, "password": found.text}
    if found.expires is not None:
        said["password_expiry_utc"] = str(found.expires)
    for key, value in said.items():
        if "\n" in value or "\0" in value:
            raise CommandError(f"The stored {key} has a line break, which git cannot read.")
    return "\n".join(f"{key}={value}" for key, value in said.items())


def _lifetime(end: str | None, now: int) -> int | None:
    """Return the seconds left until `end`; None if git gave no end."""
    return int(end) - now if end and end.isascii() and end.isdigit() else None
