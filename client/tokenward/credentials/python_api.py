"""`tokenward.get`: the lookup of every command, as a function for programs.

It never prompts, because the program may run without a user; a passphrase that the environment
leads to is used.
"""

from __future__ import annotations

import os
from contextlib import closing

from tokenward.credentials import lookup
from tokenward.credentials.narrowing import read_restriction
from tokenward.errors import CommandError
from tokenward.session import Session
from tokenward.settings.service_names import resolve
from tokenward.ui.terminal import Terminal
from tokenward_protocol.light import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


class Credential(Record):
    """A user name and a secret; the secret is in no repr and no pickle.

    `expires` is when the secret expires, in seconds since 1970, or None.
    """

    username: str
    secret: str
    expires: int | None = None

    def __repr__(self) -> str:
        return f"Credential(username={self.username!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a credential is not pickled: that would write its secret")


def find_for_url(
    url: str, username: str | None, project: str | None, ttl: int | None
) -> Credential | None:
    """Return the credential for `url`, or None. Raises CommandError."""
    _require_texts(url=url, username=username or "", project=project or "")
    if ttl is not None and (type(ttl) is not int or ttl < 1):
        raise CommandError("`ttl` must be a number of whole seconds above zero.", "`ttl=900`")
    asked = read_restriction(None if project is None else [project], ttl, otherwise=lookup.TOOL)
    terminal = Terminal(os.environ, quiet=True)
    terminal.attended = False
    with closing(Session(terminal, os.environ, json=False)) as session:
        service = resolve(url, lambda: session.settings.names)
        found = lookup.find_credential(
            session,
            service,
            username or service.username,
            restriction=asked,
            several="pass one as `username`",
        )
    return None if found is None else Credential(found.username, found.text, found.expires)


def _require_texts(**arguments: object) -> None:
    """Raise CommandError for values that a command line could not hold."""
    for name, value in arguments.items():
        if not isinstance(value, str):
            raise CommandError(f"`{name}` must be text, not a {type(value).__name__}.")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise CommandError(f"`{name}` is not valid Unicode.") from None
