"""Judging a secret before it is stored, with the messages of a command.

The judgement is the protocol's (admission.py), and the agent repeats it for every secret that it
gets. Here it comes before a vault is made, an index asked or a secret compared. No message holds a
secret or a part of one.
"""

from __future__ import annotations

from time import time
from typing import NamedTuple

from tokenward.errors import CommandError
from tokenward.ui.secret_input import check_secret
from tokenward_protocol.admission import ROOM, TOKEN_USER, Expired, NotAdmitted, admit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

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
