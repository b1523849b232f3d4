"""A grant: which login, in which form, for which projects and how long.

The same object describes a fetch, an open prompt, a remembered approval and a share. It is made
from what would be handed out, not from what the requester says, and the policy and the prompt judge
it. In the end the credential is described in the same terms and compared with the grant, in one
place (fetch.py). A requester cannot make a grant longer or wider: another login, the stored token
instead of an attenuated one, one more project or one more second is not covered.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from tokenward_agent.failure import Failure
from tokenward_agent.policy.deciding import decide
from tokenward_agent.policy.rule import DECISIONS, Terms
from tokenward_agent.vault.record import Login  # noqa: TC001 - NamedTuple reads its annotations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenward_agent.policy.deciding import Decision, PolicyInput
    from tokenward_agent.policy.rule import Rule

    class _Delivery(Protocol):
        def grant_under(self, terms: Terms, /) -> Grant: ...


class Grant(NamedTuple):
    """A part of `login` that may be handed out.

    `form` is one of forms.py: a child lives for `seconds` at most, the stored secret has None. It is
    good for `projects` (normalised) only, None if no limit is visible.
    """

    login: Login
    form: str
    projects: tuple[str, ...] | None
    seconds: int | None

    def covers(self, other: Grant) -> bool:
        """Tell whether `other` has the same login and form, and is neither longer nor wider."""
        return (
            self.login == other.login
            and self.form == other.form
            and _is_within(other.projects, self.projects)
            and (
                self.seconds is None
                or (other.seconds is not None and other.seconds <= self.seconds)
            )
        )

    def require_covers(self, other: Grant) -> None:
        """Raise Failure if `other`, which is about to be handed out, is not covered."""
        if not self.covers(other):
            raise replaced_error()


def replaced_error() -> Failure:
    """Return the failure for a credential that changed after the approval."""
    return Failure("busy", "Another credential answers now.", "try again")


def decide_delivery(
    rules: Sequence[Rule], policy_input: PolicyInput, delivery: _Delivery
) -> tuple[Decision, Grant]:
    """Return the decision of the rules about what would be handed out, and that grant.

    The rule that decides sets the form, and the form may change which rule decides: the stored
    token may be good for more projects than the attenuated one. Then both forms are judged, and the
    stricter decision counts.
    """
    attenuated = delivery.grant_under(Terms())
    first = decide(rules, _input_for(policy_input, attenuated))
    grant = delivery.grant_under(first.terms)
    if grant.projects == attenuated.projects:
        return first, grant
    second = decide(rules, _input_for(policy_input, grant))
    stricter = max(first, second, key=lambda each: DECISIONS.index(each.word))
    decision = (second if second.word == stricter.word else first)._replace(terms=second.terms)
    return decision, delivery.grant_under(second.terms)


def _input_for(policy_input: PolicyInput, grant: Grant) -> PolicyInput:
    """Return the subject with the projects that the grant is good for, if they are visible.

    A password, or a token without visible limits, keeps the projects that it is requested for.
    """
    if grant.projects is None:
        return policy_input
    return policy_input._replace(projects=frozenset(grant.projects))


def _is_within(names: tuple[str, ...] | None, others: tuple[str, ...] | None) -> bool:
    return others is None or (names is not None and set(names) <= set(others))
