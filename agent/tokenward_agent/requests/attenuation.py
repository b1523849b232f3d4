"""Work out what a fetch requests: the stored token or an attenuated one, and its limits.

A fetch without options gets an attenuated token for an hour if the stored one can be attenuated, so
tools need not know about attenuation. The user's policy may set a shorter time, which also limits
longer requests, or may hand out the stored token. A request for an attenuated token is refused,
with the reason, if the stored one cannot be attenuated or the lifetime is too long.

In which form it leaves is decided in one place (forms.py), before and while it is made.

`Delivery` describes what would be handed out before it is made, and whether that is possible at all:
the policy and the prompt judge it, and an impossible request neither counts nor prompts.
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeVar

from tokenward_agent.failure import Failure
from tokenward_agent.policy.approvals import ANSWER_SECONDS
from tokenward_agent.prompt.question import duration_text, remember_text
from tokenward_agent.requests.forms import CHILD, RELAY, WHOLE, WORKER, form_of
from tokenward_agent.requests.grants import Grant
from tokenward_protocol.index_tokens import (
    DEFAULT_TTL,
    LEAST_TTL,
    MOST_SEALED_TTL,
    MOST_TTL,
    NotAttenuable,
    derived_projects,
    derived_size,
    plan_derivation,
    split_names,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward_agent.failure import SecretSource
    from tokenward_agent.policy.rule import Terms
    from tokenward_agent.requests.access_request import AccessRequest
    from tokenward_agent.store.derived_tokens import Derived, DerivedTokens
    from tokenward_agent.vault.record import Limits, Record
    from tokenward_agent.wire.request import Request
    from tokenward_protocol.index_tokens import Derivation, IndexToken

_T = TypeVar("_T")


class Restriction(NamedTuple):
    """A requested restriction: the `whole` token, or `ttl` seconds of it for these `projects`."""

    whole: bool
    ttl: int | None
    projects: tuple[str, ...]

    @property
    def is_explicit(self) -> bool:
        """Whether the request limits the token."""
        return self.ttl is not None or bool(self.projects)

    @property
    def needs_no_evidence(self) -> bool:
        """Whether the request needs no evidence about projects."""
        return self.whole or bool(self.projects)

    def seconds(self, terms: Terms) -> int:
        """Return the lifetime of an attenuated token in seconds under these terms."""
        wanted = self.ttl or terms.ttl or DEFAULT_TTL
        return min(wanted, terms.ttl) if terms.ttl else wanted


def read_restriction(request: Request) -> Restriction:
    """Return the requested restriction. Raises Failure with code `bad-request`."""
    ttl = request.count("ttl")
    if ttl is not None and ttl < LEAST_TTL:
        raise Failure("bad-request", "An attenuated token must live for at least a minute.")
    found = Restriction(request.flag("whole"), ttl, read_projects(request))
    if found.whole and found.is_explicit:
        raise Failure("bad-request", "A token cannot be handed out both whole and attenuated.")
    return found


def read_projects(request: Request) -> tuple[str, ...]:
    """Return the projects that a request names, normalised. Raises Failure."""
    text = request.text("projects")
    try:
        return () if text is None else split_names(text)
    except ValueError as error:
        raise Failure("bad-request", f"The project is not valid: {error}.") from None


ANY: Final = False
"""Of several entries of an account, any that answers: none is named."""


def read_entry(request: Request) -> Limits | Literal[False]:
    """Return the entry that a request names among several of an account, by its very projects.

    None means the account-wide one, ANY that none is named. Raises Failure.
    """
    text = request.text("entry")
    if text is None:
        return ANY
    try:
        return tuple(sorted(split_names(text))) or None if text else None
    except ValueError as error:
        raise Failure("bad-request", f"The project is not valid: {error}.") from None


class Delivery:
    """The result of a fetch of a record's secret, under given terms.

    `likely` are the projects that the requester seems to work on. `bounds` are further facts that
    an approval is bound to. An approval holds for `answer_seconds` for the process that asked; its
    prompt ends if `watched` hangs up, a socket or pipe, None for the requester's connection.
    """

    answer_seconds = ANSWER_SECONDS
    watched: int | None = None
    itself: str = WHOLE
    """The form in which the stored secret leaves: to the tool that asks, unless another gets it."""

    instead_of_whole = "add `--ttl` or `--project` for a narrower one"
    instead_of_narrower = "leave `--project` and `--ttl` out"
    instead_of_any = (
        "`auth exec --relay -- CMD` runs a command that uses it (`--index` names its index)"
    )

    def __init__(
        self,
        derived_tokens: DerivedTokens,
        record: Record,
        secret: SecretSource,
        restriction: Restriction,
        likely: tuple[str, ...] = (),
        bounds: tuple[object, ...] = ("fetch",),
    ) -> None:
        self._derived_tokens, self._restriction, self._likely = derived_tokens, restriction, likely
        self.record, self.secret, self.bounds = record, secret, bounds

    @property
    def whole(self) -> bool:
        """Whether the request is for the stored token."""
        return self._restriction.whole

    @property
    def intended_projects(self) -> tuple[str, ...]:
        """The projects that the request names, or seems to be for."""
        return self._restriction.projects or self._likely

    @cached_property
    def token(self) -> IndexToken | None:
        """The visible parts of the secret, None if it is not an index's token. Raises KeyDestroyed."""
        return self._derived_tokens.read_token(self.secret)

    def grant_under(self, terms: Terms) -> Grant:
        """Return the grant that describes what would be handed out. Raises KeyDestroyed.

        What cannot be handed out is described as the stored secret.
        """
        token, login = self.token, self.record.login
        held = None if token is None else token.scope.projects
        form = self._form(terms, attenuable=token is not None and token.is_attenuable) or WHOLE
        if form != CHILD:
            return Grant(login, form, held, None)
        names = derived_projects(held, self._restriction.projects, self._likely)
        return Grant(login, form, names or held, self._seconds(terms))

    def question_lines(
        self, access: AccessRequest, described: list[str], remember: int, /
    ) -> list[str]:
        """Return the lines of a prompt; `described` is what is handed out, in lines.

        The first of them continues "It gets". `remember` is the rule's, in seconds.
        """
        first, *more = described
        return [*access.question_lines(first), *more, remember_text(remember)]

    def require_possible(self, terms: Terms, now: int) -> None:
        """Raise Failure if nothing can be handed out under these terms. Raises KeyDestroyed."""
        self._attenuate(terms, now, self._plan)

    def derive(self, terms: Terms, now: int) -> tuple[str, Derived | None]:
        """Return the form of what leaves, and the attenuated token if it is that.

        Raises Failure or KeyDestroyed.
        """
        return self._attenuate(terms, now, partial(self._derived_tokens.derive, self.secret))

    def _form(self, terms: Terms, *, attenuable: bool) -> str | None:
        restriction = self._restriction
        return form_of(
            sealed=self.record.never_shown,
            attenuable=attenuable,
            itself=self.itself,
            whole=restriction.whole,
            limited=restriction.is_explicit,
            narrow=terms.narrow,
        )

    def _plan(
        self, now: int, end: int, projects: tuple[str, ...], likely: tuple[str, ...], ahead: int
    ) -> Derivation | None:
        """Plan the token that `DerivedTokens.derive` would make."""
        token = self.token
        if token is None or not token.is_attenuable:
            return None
        derivation = plan_derivation(token, now + ahead, end + ahead, projects, likely)
        derived_size(token, derivation)
        return derivation

    def _attenuate(
        self, terms: Terms, now: int, narrower: Callable[..., _T | None]
    ) -> tuple[str, _T | None]:
        """Return the form, and what `narrower` makes if that is a child."""
        made = None
        if self._form(terms, attenuable=True) == CHILD:
            made = self._make_narrower(terms, now, narrower)
        form = self._form(terms, attenuable=made is not None)
        if form is None:
            raise self._withheld_error()
        if form == CHILD:
            self._require_short()
        return form, made

    def _make_narrower(
        self, terms: Terms, now: int, narrower: Callable[..., _T | None]
    ) -> _T | None:
        record = self.record
        end = now + self._seconds(terms)
        if record.expires is not None:
            end = min(end, record.expires.wall_end)
        try:
            ahead = self._derived_tokens.clocks.ahead(record.service)
            return narrower(now, end, self._restriction.projects, self._likely, ahead)
        except NotAttenuable as error:
            raise Failure("refused", str(error), error.hint, why="cannot be so narrow") from None

    def _withheld_error(self) -> Failure:
        """Return why the credential does not leave in the form that is asked for."""
        service, token = self.record.service, self.token
        if not self.record.never_shown:
            return Failure(
                "refused",
                f"The credential for {service} cannot be attenuated: only tokens of PyPI,"
                " TestPyPI and devpi can.",
                self.instead_of_narrower,
                why="cannot be narrowed",
            )
        if token is not None and token.is_attenuable:
            return Failure(
                "refused",
                f"The token for {service} is sealed: it is never handed out itself.",
                self.instead_of_whole,
                why="sealed",
            )
        return Failure(
            "refused",
            f"The credential for {service} is sealed and cannot be attenuated: it is used behind a"
            " relay alone, and never handed out.",
            self.instead_of_any,
            why="sealed",
        )

    def _require_short(self) -> None:
        """Raise Failure if a longer life is asked for than an attenuated token may have."""
        ttl, record = self._restriction.ttl, self.record
        if ttl is None or ttl <= (most := max_seconds(record)):
            return
        if record.never_shown:
            raise Failure(
                "refused",
                f"The token for {record.service} is sealed: an attenuated token of it lives for"
                f" {duration_text(most)} at most.",
                f"`--ttl {most // 3600}h`",
                why="sealed",
            )
        raise Failure(
            "bad-request", f"An attenuated token lives for {duration_text(most)} at most."
        )

    def _seconds(self, terms: Terms) -> int:
        return min(self._restriction.seconds(terms), max_seconds(self.record))


class RelayDelivery(Delivery):
    """The delivery of a credential to the relay of a run."""

    itself = RELAY


class WorkerDelivery(Delivery):
    """The delivery of a credential to a worker of the agent, which asks its index about it."""

    itself = WORKER


def max_seconds(record: Record) -> int:
    """Return the longest lifetime of tokens attenuated from a record's, in seconds."""
    return MOST_SEALED_TTL if record.never_shown else MOST_TTL
