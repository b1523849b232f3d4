"""What was granted: of which login, in which form, for which projects and for how long.

One object for all that lets a credential out: a fetch, a question that is open, a yes that is
remembered, a share. It is made of what would really go out, not of what somebody says about it; so
the policy and a person judge that. What goes out in the end is described in the same words, and held
against what was granted at one place (fetch.py). Nobody who asks can make a grant longer or wider:
another login, the whole in the place of a child, one project more or a second more is not covered.

Pure.
"""

from __future__ import annotations

from typing import NamedTuple

from tokenward_agent.failure import Failure
from tokenward_agent.policy.deciding import decide
from tokenward_agent.policy.rule import DECISIONS, Terms
from tokenward_agent.vault.record import Login  # noqa: TC001 - NamedTuple reads its annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from tokenward_agent.policy.deciding import Decision, Subject
    from tokenward_agent.policy.rule import Rule

    class Goes(Protocol):
        """Says what would go out."""

        def under(self, terms: Terms, /) -> Grant:
            """Describe it, under such terms."""
            ...


class Grant(NamedTuple):
    """What of `login` may go out.

    With `whole` that is what is stored, as it is; else a child that lives for `seconds` at most. It
    is good for `projects` (normalised) alone, None where nothing says that it is limited.
    """

    login: Login
    whole: bool
    projects: tuple[str, ...] | None
    seconds: int | None

    def covers(self, other: Grant) -> bool:
        """Tell whether another one is of the same login and form, and neither longer nor wider."""
        return (
            self.login == other.login
            and self.whole == other.whole
            and _within(other.projects, self.projects)
            and (
                self.seconds is None
                or (other.seconds is not None and other.seconds <= self.seconds)
            )
        )

    def require(self, other: Grant) -> None:
        """Raise Failure where what is about to go out is not covered."""
        if not self.covers(other):
            raise exchanged()


def exchanged() -> Failure:
    """Return what to say where something else answers than what was agreed to."""
    return Failure("busy", "Another credential answers now.", "try again")


def judged(rules: Sequence[Rule], subject: Subject, going: Goes) -> tuple[Decision, Grant]:
    """Return what the rules say to what would go out, and what that is.

    The form goes by the rule that decides, and the rule by the form: what goes out as it is may be
    good for more projects than the child would have been. Then both are judged, and the stricter
    word counts.
    """
    child = going.under(Terms())
    first = decide(rules, _about(subject, child))
    grant = going.under(first.terms)
    if grant.projects == child.projects:
        return first, grant
    second = decide(rules, _about(subject, grant))
    stricter = max(first, second, key=lambda each: DECISIONS.index(each.word))
    decision = (second if second.word == stricter.word else first)._replace(terms=second.terms)
    return decision, going.under(second.terms)


def _about(subject: Subject, grant: Grant) -> Subject:
    """Return a subject that is about what a grant is good for, where that can be seen.

    A password, or a token of no visible limits, is about what it is wanted for.
    """
    if grant.projects is None:
        return subject
    return subject._replace(projects=frozenset(grant.projects))


def _within(names: tuple[str, ...] | None, others: tuple[str, ...] | None) -> bool:
    return others is None or (names is not None and set(names) <= set(others))
