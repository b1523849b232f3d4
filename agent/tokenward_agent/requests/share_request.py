"""Read what a share request wants: restriction, time, user ids and path; and describe it.

The prompt names all of it, and an approval covers exactly that.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from tokenward_agent.failure import Failure
from tokenward_agent.prompt.question import duration_text, shorten
from tokenward_agent.requests.attenuation import Restriction, read_projects
from tokenward_agent.vault.record import LONGEST
from tokenward_protocol.folder_trust import ALL_IDS, user_id
from tokenward_protocol.index_tokens import DEFAULT_TTL, LEAST_TTL

if TYPE_CHECKING:
    from tokenward_agent.wire.request import Request


class ShareRequest(NamedTuple):
    """A socket `at` a path (None: anywhere) for `lifetime` seconds (None: until it is stopped).

    `uids` are admitted besides the user and root. `restriction` is the most that each fetch gets.
    """

    at: str | None
    lifetime: int | None
    uids: tuple[int, ...]
    restriction: Restriction

    def describe(self, what: str, path: str) -> list[str]:
        """Return the lines of the prompt; `what` says what others get by the socket."""
        time = (
            "until it is stopped"
            if self.lifetime is None
            else f"for {duration_text(self.lifetime)}"
        )
        users = ", ".join(map(str, self.uids)) if self.uids else "no others"
        return [
            f"a socket {what}, {time}",
            f"Place of the socket: {shorten(path)}",
            f"User ids that are admitted besides you and root: {users}",
        ]


def read_share_request(request: Request) -> ShareRequest:
    """Return what a share request wants. Raises Failure with code `bad-request`."""
    lifetime, whole = request.count("lifetime"), request.flag("whole")
    if lifetime is not None and not LEAST_TTL <= lifetime <= LONGEST:
        raise Failure(
            "bad-request", "A share must last at least a minute and at most a hundred years."
        )
    projects = read_projects(request)
    if whole and projects:
        raise Failure(
            "bad-request", "A share of the whole credential cannot be limited to projects."
        )
    seconds = None if whole else min(DEFAULT_TTL, lifetime or DEFAULT_TTL)
    return ShareRequest(
        _read_path(request), lifetime, _read_uids(request), Restriction(whole, seconds, projects)
    )


def _read_uids(request: Request) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(map(user_id, (request.text("uids") or "").split())))
    except ValueError:
        raise Failure("bad-request", f"A user id must be a number below {ALL_IDS}.") from None


def _read_path(request: Request) -> str | None:
    at = request.text("at")
    if at is not None and (not os.path.isabs(at) or "\0" in at):
        raise Failure("bad-request", "The path of a shared socket must be absolute.")
    return at
