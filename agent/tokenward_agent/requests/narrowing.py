"""What a fetch asks for: the stored token whole, or a child, and of which width.

Whoever asks for nothing gets a child where there can be one, for an hour; so a tool need not know
that there is such a thing. The user's policy may say a shorter time, or that what is stored goes out
as it is; a shorter time binds whoever asks for a longer one. Where there can be no child a wish is
refused, with the reason, instead of being forgotten.
"""

from __future__ import annotations

from typing import NamedTuple

from tokenward_agent.failure import Failure
from tokenward_agent.vault.lifetime import LONGEST
from tokenward_protocol.index_tokens import DEFAULT_TTL, LEAST_TTL, Unfit, names_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward_agent.policy.rule import Terms
    from tokenward_agent.store.children import Children, Made, Sealed
    from tokenward_agent.vault.record import Record
    from tokenward_agent.wire.request import Request


class Wish(NamedTuple):
    """How wide a credential is asked for: `whole`, or for so many seconds and these projects."""

    whole: bool
    ttl: int | None
    projects: tuple[str, ...]

    @property
    def explicit(self) -> bool:
        """Whether a narrower token was asked for."""
        return self.ttl is not None or bool(self.projects)

    @property
    def settled(self) -> bool:
        """Whether it needs no evidence for which projects it is."""
        return self.whole or bool(self.projects)

    def seconds(self, terms: Terms) -> int:
        """Return for how long a child is good under such terms."""
        wanted = self.ttl or terms.ttl or DEFAULT_TTL
        return min(wanted, terms.ttl) if terms.ttl else wanted

    def narrows(self, terms: Terms, record: Record) -> bool:
        """Whether it is a child that goes out, where there can be one."""
        return not self.whole and (terms.narrow or self.explicit or record.never_shown)


def wish(request: Request) -> Wish:
    """Return what a fetch asks for. Raises Failure with code `bad-request`."""
    ttl, projects = request.count("ttl"), request.text("projects")
    if ttl is not None and not LEAST_TTL <= ttl <= LONGEST:
        raise Failure("bad-request", "A token lives from a minute to a hundred years.")
    try:
        names = () if projects is None else names_in(projects)
    except ValueError as error:
        raise Failure("bad-request", f"A project cannot be meant: {error}.") from None
    found = Wish(request.flag("whole"), ttl, names)
    if found.whole and found.explicit:
        raise Failure("bad-request", "A token is handed out whole or narrowed, not both.")
    return found


def narrowed(
    children: Children,
    secret: Sealed,
    record: Record,
    asked: Wish,
    terms: Terms,
    now: int,
    likely: tuple[str, ...],
) -> Made | None:
    """Return the child of a record's secret that is asked for, None where it goes out as it is.

    `likely` projects are what the asker seems to be about. Raises Failure with code `refused`.
    """
    if asked.whole and record.never_shown:
        raise Failure(
            "refused",
            f"The token for {record.service} is sealed: it is used and never shown.",
            "add `--ttl` or `--project` for a narrower one",
        )
    if not asked.narrows(terms, record):
        return None
    end = now + asked.seconds(terms)
    if record.expires is not None:
        end = min(end, record.expires.wall_end)
    try:
        ahead = children.clocks.ahead(record.service)
        made = children.make(secret, now, end, asked.projects, likely, ahead)
    except Unfit as error:
        raise Failure("refused", str(error), error.hint) from None
    if made is None and (asked.explicit or record.never_shown):
        raise Failure(
            "refused",
            f"What is stored for {record.service} cannot be narrowed: only tokens of PyPI, TestPyPI"
            " and devpi can.",
            "leave `--project` and `--ttl` out",
        )
    return made
