"""What a fetch asks for: the stored token whole, or a child, and of which width.

Whoever asks for nothing gets a child where there can be one, for an hour; so a tool need not know
that there is such a thing. The user's policy may say a shorter time, or that what is stored goes out
as it is; a shorter time binds whoever asks for a longer one. Where there can be no child a wish is
refused, with the reason, instead of being forgotten; so is one for a child that would outlive what
any may live.

What would go out is known before it does (`Going`), so that the policy and a person judge that; so
is whether anything can go out at all, so that no rate counts and nobody is asked about what cannot.
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import NamedTuple, TypeVar

from tokenward_agent.consent.question import spelled
from tokenward_agent.failure import Failure
from tokenward_agent.requests.grants import Grant
from tokenward_protocol.index_tokens import (
    DEFAULT_TTL,
    LEAST_TTL,
    MOST_SEALED_TTL,
    MOST_TTL,
    Unfit,
    child_size,
    named_by_child,
    names_in,
    plan,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward_agent.policy.rule import Terms
    from tokenward_agent.store.children import Children, Made, Sealed
    from tokenward_agent.vault.record import Record
    from tokenward_agent.wire.request import Request
    from tokenward_protocol.index_tokens import Child, IndexToken

_T = TypeVar("_T")


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
    if ttl is not None and ttl < LEAST_TTL:
        raise Failure("bad-request", "A narrowed token lives for a minute at least.")
    try:
        names = () if projects is None else names_in(projects)
    except ValueError as error:
        raise Failure("bad-request", f"A project cannot be meant: {error}.") from None
    found = Wish(request.flag("whole"), ttl, names)
    if found.whole and found.explicit:
        raise Failure("bad-request", "A token is handed out whole or narrowed, not both.")
    return found


class Going:
    """What a wish gets of a record's secret, under whatever terms.

    `likely` projects are what the asker seems to be about. `bounds` is what else a yes to it is
    bound to.
    """

    instead_of_whole = "add `--ttl` or `--project` for a narrower one"
    instead_of_narrower = "leave `--project` and `--ttl` out"

    def __init__(
        self,
        children: Children,
        record: Record,
        secret: Sealed,
        asked: Wish,
        likely: tuple[str, ...] = (),
        bounds: tuple[object, ...] = ("fetch",),
    ) -> None:
        self._children = children
        self._asked = asked
        self._likely = likely
        self.record = record
        self.secret = secret
        self.bounds = bounds

    @property
    def whole(self) -> bool:
        """Whether what is stored was asked for, as it is."""
        return self._asked.whole

    @property
    def wanted_for(self) -> tuple[str, ...]:
        """The projects that it is asked for, or seems to be wanted for."""
        return self._asked.projects or self._likely

    @cached_property
    def token(self) -> IndexToken | None:
        """What is visible of the secret, None if it is no token of an index. Raises Gone."""
        return self._children.seen(self.secret)

    def under(self, terms: Terms) -> Grant:
        """Describe what would go out. Raises Gone."""
        token, login = self.token, self.record.login
        held = None if token is None else token.restrictions.projects
        if token is None or not token.narrows or not self._asked.narrows(terms, self.record):
            return Grant(login, True, held, None)
        names = named_by_child(held, self._asked.projects, self._likely)
        return Grant(login, False, names or held, self._seconds(terms))

    def require_possible(self, terms: Terms, now: int) -> None:
        """Raise Failure where nothing could go out under such terms, and Gone."""
        self._narrowed(terms, now, self._planned)

    def made(self, terms: Terms, now: int) -> Made | None:
        """Return the child that goes out, None where what is stored goes out as it is.

        Raises Failure, and Gone.
        """
        return self._narrowed(terms, now, partial(self._children.make, self.secret))

    def _planned(
        self, now: int, end: int, projects: tuple[str, ...], likely: tuple[str, ...], ahead: int
    ) -> Child | None:
        """Plan the child that `Children.make` would make."""
        token = self.token
        if token is None or not token.narrows:
            return None
        child = plan(token, now + ahead, end + ahead, projects, likely)
        child_size(token, child)
        return child

    def _narrowed(self, terms: Terms, now: int, narrower: Callable[..., _T | None]) -> _T | None:
        self._require_within_bounds()
        asked, record = self._asked, self.record
        if not asked.narrows(terms, record):
            return None
        end = now + self._seconds(terms)
        if record.expires is not None:
            end = min(end, record.expires.wall_end)
        try:
            ahead = self._children.clocks.ahead(record.service)
            made = narrower(now, end, asked.projects, self._likely, ahead)
        except Unfit as error:
            raise Failure("refused", str(error), error.hint, why="cannot be so narrow") from None
        if made is None and (asked.explicit or record.never_shown):
            raise Failure(
                "refused",
                f"What is stored for {record.service} cannot be narrowed: only tokens of PyPI,"
                " TestPyPI and devpi can.",
                self.instead_of_narrower,
                why="cannot be narrowed",
            )
        return made

    def _require_within_bounds(self) -> None:
        """Raise Failure where what was asked for is more than may ever go out."""
        asked, record = self._asked, self.record
        if asked.whole and record.never_shown:
            raise Failure(
                "refused",
                f"The token for {record.service} is sealed: it is used and never shown.",
                self.instead_of_whole,
                why="sealed",
            )
        if asked.ttl is None or asked.ttl <= (most := longest(record)):
            return
        if record.never_shown:
            raise Failure(
                "refused",
                f"The token for {record.service} is sealed: what is made of it lives for"
                f" {spelled(most)} at most.",
                f"`--ttl {most // 3600}h`",
                why="sealed",
            )
        raise Failure("bad-request", f"A narrowed token lives for {spelled(most)} at most.")

    def _seconds(self, terms: Terms) -> int:
        return min(self._asked.seconds(terms), longest(self.record))


def longest(record: Record) -> int:
    """Return for how many seconds a child of a record may live at most."""
    return MOST_SEALED_TTL if record.never_shown else MOST_TTL
