"""What a secret is judged by before it is stored, as a command says it.

The judgement is the protocol's (admission.py), and the agent makes it again for whatever reaches
it. Here it comes before a vault is made, an index asked or a secret compared. No secret, and no part
of one, is in a message.
"""

from __future__ import annotations

from time import time
from typing import NamedTuple

from tokenward.errors import CommandError
from tokenward.ui.secret_input import check_secret
from tokenward_protocol.admission import PAGES, ROOM, TOKEN_USER, Expired, NotAdmitted, admitted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["PAGES", "TOKEN_USER", "Checked", "ExpiredError", "checked"]


class ExpiredError(CommandError):
    """The token that is to be stored has ended."""


class Checked(NamedTuple):
    """What to store, and sentences to say about it."""

    body: bytes
    notices: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Checked, {len(self.body)} bytes>"


def checked(keys: Iterable[str], username: str, secret: str | bytes) -> Checked:
    """Judge a secret that is about to be stored under each of `keys`, canonical services.

    Raises CommandError with the reason where it is not to be stored: the agent would refuse it.
    """
    body = check_secret(secret) if isinstance(secret, str) else secret
    said: list[str] = []
    for key in keys:
        room = memoryview(bytearray(ROOM))
        try:
            found = admitted(key, username, memoryview(body), room, int(time()))
        except Expired as no:
            raise ExpiredError(str(no), no.hint) from None
        except NotAdmitted as no:
            raise CommandError(str(no), no.hint) from None
        body = body[found.start : found.stop]
        said += filter(None, (found.changed, found.notice))
    return Checked(body, tuple(dict.fromkeys(said)))
