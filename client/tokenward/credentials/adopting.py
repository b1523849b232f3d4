"""`auth login --adopt`: a credential that stays in a keyring, and with what the agent reads it there.

Who reads it and which vault has the entry are two things: `--keyring-provider subprocess` names the
user's `keyring` program as the reader and every other value the library; the entry goes where a new
credential would, or with `disabled` into the file vault. No system keyring is needed for it.

The variables that plug-ins of keyring read travel with the entry, as they are in this shell
(plugin_variables.py); the agent seals them, and no message has a value.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

from tokenward.errors import CommandError
from tokenward.keyring_program import on_path
from tokenward_protocol.plugin_variables import PATH, is_of_plugins

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tokenward.session import Session


class Adoption(NamedTuple):
    """How one credential is adopted: its service as typed, its reader, and a block of variables.

    With `unread` it is not read at the login, since `auth refresh` does that; with `in_memory` no vault
    has the entry.
    """

    spelling: str
    variables: bytes = b""
    reader: str | None = None
    program: str | None = None
    unread: bool = False
    in_memory: bool = False

    def __repr__(self) -> str:
        return f"Adoption({self.spelling!r})"

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of a login; the variables are its body."""
        return {
            "adopt": self.spelling,
            "environment": len(self.variables) or None,
            "reader": self.reader,
            "program": self.program,
            "unread": self.unread or None,
            "memory": self.in_memory or None,
        }


def plan_adoption(session: Session, spelling: str, flag: str | None, *, unread: bool) -> Adoption:
    """Return how a credential is adopted; `flag` is `--keyring-provider`. Raises CommandError."""
    variables = passed_variables(session.environ)
    names = [each.partition(b"=")[0].decode() for each in variables.split(b"\0") if each]
    if telling := [name for name in names if name != PATH]:
        session.terminal.say(
            f"Plug-ins of keyring get these as they are now: {', '.join(telling)}."
        )
    if flag != "subprocess":
        return Adoption(spelling, variables, "keyring", unread=unread)
    program, passed_over = on_path.find_program(session.environ, session.settings.cwd)
    if program is None:
        raise CommandError(
            on_path.none_found_sentence(passed_over),
            "without `--keyring-provider` the library reads it",
        )
    return Adoption(spelling, variables, flag, program, unread)


def vault_flag(flag: str | None) -> str | None:
    """Return the provider whose vault is to have the entry, None if the agent chooses."""
    return flag if flag == "disabled" else None


def passed_variables(environ: Mapping[str, str]) -> bytes:
    """Return the variables that travel, each with a NUL; on Windows without PATH, which is not judged."""
    names = sorted(name for name in environ if is_of_plugins(name) and environ[name])
    if sys.platform == "win32":
        names = [name for name in names if name != PATH]
    return b"".join(os.fsencode(f"{name}={environ[name]}") + b"\0" for name in names)
