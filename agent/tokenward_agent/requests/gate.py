"""Decide whether a fetch is allowed: by the user's policy, and by a prompt if that says `ask`.

The policy judges what would be handed out, in this order: a rule that denies; a fetch that cannot
succeed; a used-up rate limit; the prompt. So a fetch that fails anyway neither counts for a rate
nor prompts the user. Without a policy every fetch is allowed. The result names the line of the rule
that decided, for the log; a refusal is a Failure that names it, too.

The prompt appears on the requester's screen. A request that is not `attended` causes no prompt: its
client does not wait, and would be gone before the answer. An approval covers what would have been
handed out when it was requested, under the policy and the keys of that moment.
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
    """Why a fetch is allowed: the line of the rule and the kind of approval, each None if absent.

    `consent` is `asked` or `remembered`; `terms` limit what is handed out. `grant` is what may be
    handed out, None if there is no policy.
    """

    rule: int | None = None
    consent: str | None = None
    terms: Terms = Terms()
    grant: Grant | None = None


FREELY: Final = Passed()

_UNKNOWN: Final = (
    "the requester is not fully known: every rule that denies a program counts, and no rule that"
    " allows one"
)


def readable(file: PolicyFile, now: int) -> tuple[Rule, ...]:
    """Return the rules in force. Raise Failure if the policy is invalid; `now` is the wall time."""
    file.look(now)
    if file.problem:
        raise Failure(
            "refused",
            f"The file {file.path} {file.problem}, so the policy is not known.",
            "correct the file: until then nothing is handed out",
            why="the policy cannot be obeyed",
        )
    return file.policy.rules


class Gate:
    """Allows or refuses the fetches of one agent."""

    def __init__(self, file: PolicyFile, person: Person, vaults: Vaults, pinentry: str) -> None:
        self.file = file
        self._person = person
        self._vaults = vaults
        self._pinentry = pinentry
        self._answers = Answers()
        self._state = (file.changes, vaults.closings)

    def holds(self) -> bool:
        """Tell whether an approval or a used rate still counts."""
        return self._answers.hold(self._vaults.clock.boot())

    def denies(self, request: Request, record: Record) -> None:
        """Raise Failure if the policy denies the record, whatever would be handed out."""
        decision = decide(self._rules(), Case(request, record, ()).subject)
        if decision.word == DENY:
            raise self._denied(decision, Case(request, record, ()))

    def at_once(self, request: Request, going: Going) -> Passed | None:
        """Return why a fetch is allowed, None if the user has to be prompted. Raise Failure."""
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
        """Prompt the user if `at_once` returned None. Raise Failure.

        `gets` describes what would be handed out, in lines; the first continues "It gets".
        """
        case = Case(request, going.record, going.wanted_for)
        if not request.flag("attended"):
            raise Failure(
                "consent",
                f"Giving {case.wanted} needs your approval.",
                "ask with `attended`, and wait",
            )
        screen = case.screen
        if not screen.display and not screen.tty:
            raise Failure(
                "refused",
                f"Approval for giving {case.wanted} is impossible: the tool has neither a terminal"
                " nor a display.",
                f"a rule in {self.file.path} can allow it{self._why_asked(case, going)}",
                why=NOBODY_ASKED,
            )
        async with self._person.turn() as end:
            # Another answer may have settled this fetch, or the policy have changed, meanwhile.
            passed = self.at_once(request, going)
            if passed is not None:
                return passed
            decision, grant = judged(self.file.policy.rules, case.subject, going)
            if not self._answers.may_ask(self._now()):
                often = f"The agent prompts at most {MOST_QUESTIONS} times a minute"
                raise self._refused(decision, often, "wait a minute", why="too many questions")
            remember = decision.rule.remember if decision.rule and decision.certain else 0
            first, *more = gets(grant)
            lines = [*case.question(first), *more, lasting(remember)]
            named = self._pinentry or self.file.policy.pinentry
            state = self._state
            answer = await self._person.answer(lines, screen, named, end, case.descriptor)
            if answer not in {"yes", "no"}:
                silence = f"The prompt about giving {case.wanted} was not answered"
                raise self._refused(decision, silence, why="no answer")
            yes = answer == "yes"
            self._rules()
            if yes and state != self._state:
                raise Failure(
                    "busy",
                    "The policy changed or a vault was locked during the prompt.",
                    "try again",
                )
            what = case.what(grant, going.bounds)
            self._answers.keep(case.who, what, yes=yes, remember=remember, now=self._now())
            return self._answered(decision, grant, case, "asked", yes=yes)

    def may_use(self, decision: Decision) -> bool:
        """Tell whether the rate limit of the rule that decided allows one more fetch."""
        return decision.rule is None or self._answers.may_use(decision.rule, self._now())

    def use(self, decision: Decision) -> None:
        """Count one more fetch for the rate limit."""
        if decision.rule is not None:
            self._answers.use(decision.rule, self._now())

    def _rules(self) -> tuple[Rule, ...]:
        """Return the rules in force; forget approvals if rules or keys changed. Raise Failure."""
        rules = readable(self.file, self._vaults.clock.wall())
        state = (self.file.changes, self._vaults.closings)
        if state != self._state:  # an approval holds for its rules and its keys
            self._state = state
            self._answers.forget()
        return rules

    def _why_asked(self, case: Case, going: Going) -> str:
        """Return which rule could not be matched for certain, so that the user is asked, or ""."""
        decision, _ = judged(self.file.policy.rules, case.subject, going)
        if decision.certain or decision.rule is None:
            return ""
        line = decision.rule.line
        return f"; you are asked because it is not certain whether the rule in line {line} applies"

    def _answered(
        self, decision: Decision, grant: Grant, case: Case, how: str, *, yes: bool
    ) -> Passed:
        if not yes:
            raise self._refused(decision, f"The user denied {case.wanted}", consent=how)
        return self._through(decision, grant, how)

    def _require_within_rate(self, decision: Decision) -> None:
        rule = decision.rule
        if rule is not None and rule.rate is not None and not self.may_use(decision):
            often = f"The policy's rate limit is {rule.rate.times} in {spelled(rule.rate.seconds)}"
            raise self._refused(decision, often, "wait until the limit allows it", why="too often")

    def _through(self, decision: Decision, grant: Grant, consent: str | None) -> Passed:
        rule = decision.rule
        self._require_within_rate(decision)  # others may have passed during the prompt
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
