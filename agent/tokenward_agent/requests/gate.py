"""Whether a fetch may have what it asks for: the user's policy, and where that says so a person.

The policy is looked at for every fetch, and judges what would go out. It is judged in this order: what
is denied, what cannot go out at all, a rate that is used up, a question; so no rate counts, and nobody
is asked about, what comes to nothing anyhow. Where there is no policy, nothing else happens here. What lets a fetch through is told with the answer, and what does not is a Failure;
both name the rule's line, so that the log says what decided.

A question goes to the screen of whoever asks. Refuses to ask where the request is not `attended`:
a client that does not wait for a person would be gone before the answer. A yes is to what would have
gone out when it was asked for, under the policy and the keys of that moment.
"""

from __future__ import annotations

from typing import NamedTuple

from tokenward_agent.consent.person import NOBODY_ASKED
from tokenward_agent.consent.question import lasting, spelled
from tokenward_agent.failure import Failure
from tokenward_agent.policy.answers import MOST_QUESTIONS, Answers
from tokenward_agent.policy.deciding import decide
from tokenward_agent.policy.rule import ASK, DENY, Terms
from tokenward_agent.requests.case import Case
from tokenward_agent.requests.grants import judged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from tokenward_agent.consent.person import Person
    from tokenward_agent.policy.deciding import Decision
    from tokenward_agent.policy.file import PolicyFile
    from tokenward_agent.policy.rule import Rule
    from tokenward_agent.requests.grants import Grant
    from tokenward_agent.requests.narrowing import Going
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.vault.record import Record
    from tokenward_agent.wire.request import Request


class Passed(NamedTuple):
    """Why a fetch goes through: the line of the rule and how a person agreed, None for neither.

    `consent` is `asked` or `remembered`; `terms` say how narrow it goes out. `grant` is what may go
    out, None where nobody judges that.
    """

    rule: int | None = None
    consent: str | None = None
    terms: Terms = Terms()
    grant: Grant | None = None


FREELY: Final = Passed()

_UNKNOWN: Final = (
    "it is not wholly known who asks: then each rule that denies a program counts, and none that"
    " allows one"
)


def readable(file: PolicyFile, now: int) -> tuple[Rule, ...]:
    """Return the rules in force. Raises Failure where they cannot be obeyed; `now` as for `look`."""
    file.look(now)
    if file.problem:
        raise Failure(
            "refused",
            f"The file {file.path} {file.problem}, so that its policy is not known.",
            "nothing is handed out until it is mended",
            why="the policy cannot be obeyed",
        )
    return file.policy.rules


class Gate:
    """Lets fetches of one agent through, or does not."""

    def __init__(self, file: PolicyFile, person: Person, vaults: Vaults, pinentry: str) -> None:
        self.file = file
        self._person = person
        self._vaults = vaults
        self._pinentry = pinentry
        self._answers = Answers()
        self._state = (file.changes, vaults.closings)

    def holds(self) -> bool:
        """Tell whether a person has agreed to something, or a rate was used, that still counts."""
        return self._answers.hold(self._vaults.clock.boot())

    def denies(self, request: Request, record: Record) -> None:
        """Raise Failure where nothing of a record is handed out, whatever would go out."""
        decision = decide(self._rules(), Case(request, record, ()).subject)
        if decision.word == DENY:
            raise self._denied(decision, Case(request, record, ()))

    def at_once(self, request: Request, going: Going) -> Passed | None:
        """Say what lets a fetch through, None where a person has to be asked first.

        Raises Failure.
        """
        rules = self._rules()
        if not rules:
            return FREELY
        case = Case(request, going.record, going.wanted_for)
        decision, grant = judged(rules, case.subject, going)
        if decision.word == DENY:
            raise self._denied(decision, case)
        going.require_possible(decision.terms, self._vaults.clock.wall())
        self._require_within_rate(decision)
        if decision.word != ASK:
            return self._through(decision, grant, None)
        known = self._answers.known(case.who, case.what(grant, going.bounds), self._now())
        if known is None:
            return None
        return self._answered(decision, grant, case, "remembered", yes=known)

    async def asked(
        self, request: Request, going: Going, gets: Callable[[Grant], list[str]]
    ) -> Passed:
        """Have a person asked where `at_once` says so. Raises Failure.

        `gets` says what would be handed out, in lines of which the first follows upon "It gets".
        """
        case = Case(request, going.record, going.wanted_for)
        if not request.flag("attended"):
            raise Failure(
                "consent",
                f"Somebody has to agree before {case.wanted} is given.",
                "ask with `attended`, and wait",
            )
        screen = case.screen
        if not screen.display and not screen.tty:
            raise Failure(
                "refused",
                f"Nobody can be asked about giving {case.wanted}: there is neither a terminal nor a"
                " display.",
                f"a rule in {self.file.path} can allow it{self._why_asked(case, going)}",
                why=NOBODY_ASKED,
            )
        async with self._person.turn() as end:
            # By now the answer to another question may settle this one, or the policy be another.
            passed = self.at_once(request, going)
            if passed is not None:
                return passed
            decision, grant = judged(self.file.policy.rules, case.subject, going)
            if not self._answers.may_ask(self._now()):
                often = f"Nobody is asked more than {MOST_QUESTIONS} times a minute"
                raise self._refused(decision, often, "wait a minute", why="too many questions")
            remember = decision.rule.remember if decision.rule and decision.certain else 0
            first, *more = gets(grant)
            lines = [*case.question(first), *more, lasting(remember)]
            named = self._pinentry or self.file.policy.pinentry
            state = self._state
            answer = await self._person.answer(lines, screen, named, end, case.descriptor)
            if answer not in {"yes", "no"}:
                silence = f"Nobody answered about giving {case.wanted}"
                raise self._refused(decision, silence, why="no answer")
            yes = answer == "yes"
            self._rules()
            if yes and state != self._state:
                raise Failure(
                    "busy",
                    "The policy was changed or a vault locked while somebody was asked.",
                    "try again",
                )
            what = case.what(grant, going.bounds)
            self._answers.keep(case.who, what, yes=yes, remember=remember, now=self._now())
            return self._answered(decision, grant, case, "asked", yes=yes)

    def may_use(self, decision: Decision) -> bool:
        """Tell whether the rate of the rule that decided lets one more through."""
        return decision.rule is None or self._answers.may_use(decision.rule, self._now())

    def use(self, decision: Decision) -> None:
        """Count one more that goes through."""
        if decision.rule is not None:
            self._answers.use(decision.rule, self._now())

    def _rules(self) -> tuple[Rule, ...]:
        """Return the rules in force, having forgotten what holds no more. Raises Failure."""
        rules = readable(self.file, self._vaults.clock.wall())
        state = (self.file.changes, self._vaults.closings)
        if state != self._state:  # what was agreed to was agreed to under other rules, or is closed
            self._state = state
            self._answers.forget()
        return rules

    def _why_asked(self, case: Case, going: Going) -> str:
        """Say which rule it was of which nobody knows whether it is meant, "" where none was."""
        decision, _ = judged(self.file.policy.rules, case.subject, going)
        if decision.certain or decision.rule is None:
            return ""
        line = decision.rule.line
        return f"; it is asked since it cannot be told whether the one in line {line} is meant"

    def _answered(
        self, decision: Decision, grant: Grant, case: Case, how: str, *, yes: bool
    ) -> Passed:
        if not yes:
            raise self._refused(
                decision, f"Somebody was asked and denied {case.wanted}", consent=how
            )
        return self._through(decision, grant, how)

    def _require_within_rate(self, decision: Decision) -> None:
        rule = decision.rule
        if rule is not None and rule.rate is not None and not self.may_use(decision):
            often = (
                f"The policy gives no more than {rule.rate.times} in {spelled(rule.rate.seconds)}"
            )
            raise self._refused(decision, often, "wait", why="too often")

    def _through(self, decision: Decision, grant: Grant, consent: str | None) -> Passed:
        rule = decision.rule
        self._require_within_rate(decision)  # others may have gone through since it was asked
        self.use(decision)
        return Passed(rule and rule.line, consent, decision.terms, grant)

    def _denied(self, decision: Decision, case: Case) -> Failure:
        hint = "" if case.subject.known else _UNKNOWN
        return self._refused(decision, f"The policy denies {case.wanted}", hint)

    def _refused(
        self, decision: Decision, what: str, hint: str = "", **more: str | None
    ) -> Failure:
        line = 0 if decision.rule is None else decision.rule.line
        where = f"line {line} of {self.file.path}" if line else self.file.path
        return Failure("refused", f"{what} ({where}).", hint, rule=line or None, **more)

    def _now(self) -> int:
        return self._vaults.clock.boot()
