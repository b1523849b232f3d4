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

import json
from typing import TYPE_CHECKING, Final, NamedTuple

from tokenward_agent.failure import Failure
from tokenward_agent.policy.approvals import MOST_QUESTIONS, Approvals
from tokenward_agent.policy.deciding import decide
from tokenward_agent.policy.rule import ALLOW, ASK, DENY, Rule, Terms
from tokenward_agent.prompt.prompter import NOT_ASKED
from tokenward_agent.prompt.question import duration_text
from tokenward_agent.requests.access_request import AccessRequest
from tokenward_agent.requests.grants import decide_delivery
from tokenward_protocol.urls import display

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward_agent.policy.deciding import Decision
    from tokenward_agent.policy.file import PolicyFile
    from tokenward_agent.prompt.prompter import Prompter
    from tokenward_agent.requests.attenuation import Delivery
    from tokenward_agent.requests.grants import Grant
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.vault.record import Record
    from tokenward_agent.wire.request import Request


class Authorization(NamedTuple):
    """Why a fetch is allowed: the line of the rule and the kind of approval, each None if absent.

    `consent` (the word in the log) is `asked` or `remembered`; `terms` limit what is handed out.
    `grant` is what may be handed out, None if there is no policy.
    """

    rule: int | None = None
    consent: str | None = None
    terms: Terms = Terms()
    grant: Grant | None = None


WITHOUT_RULE: Final = Authorization()

_UNKNOWN: Final = (
    "the requester is not fully known: every rule that denies a program counts, and no rule that"
    " allows one"
)


def read_rules(file: PolicyFile, now: int) -> tuple[Rule, ...]:
    """Return the rules in force. Raises Failure if the policy is invalid; `now` is the wall time."""
    file.reload(now)
    if file.problem:
        raise Failure(
            "refused",
            f"The file {file.path} {file.problem}, so the policy is not known.",
            "correct the file: until then nothing is handed out",
            why="the policy cannot be obeyed",
        )
    return file.policy.rules


class Authorizer:
    """Allows or refuses the fetches of one agent."""

    def __init__(self, file: PolicyFile, prompter: Prompter, vaults: Vaults, pinentry: str) -> None:
        self.file, self._prompter, self._vaults, self._pinentry = file, prompter, vaults, pinentry
        self._approvals = Approvals()
        self._state = (file.changes, vaults.closings)

    def has_state(self) -> bool:
        """Tell whether an approval or a used rate still counts."""
        return self._approvals.has_state(self._vaults.clock.boot())

    def read_state(self) -> tuple[int, int]:
        """Return what an answer holds for: the policy and the keys of now. Raises Failure."""
        self._rules_in_force()
        return self._state

    def refuse_denied(self, request: Request, record: Record) -> None:
        """Raise Failure if the policy denies the record, whatever would be handed out."""
        decision = decide(self._rules_in_force(), AccessRequest(request, record, ()).policy_input)
        if decision.word == DENY:
            raise self._denied_error(decision, AccessRequest(request, record, ()))

    def try_authorize(self, request: Request, delivery: Delivery) -> Authorization | None:
        """Return why a fetch is allowed, None if the user has to be prompted. Raises Failure."""
        rules = self._rules_in_force()
        if not rules:
            return WITHOUT_RULE
        access = AccessRequest(request, delivery.record, delivery.intended_projects)
        decision, grant = decide_delivery(rules, access.policy_input, delivery)
        if decision.word == DENY:
            raise self._denied_error(decision, access)
        delivery.require_possible(decision.terms, self._vaults.clock.wall())
        self._require_within_rate(decision)
        if decision.word != ASK:
            return self._authorization(decision, grant, None)
        known = self._approvals.find(
            access.requester_key, access.access_key(grant, delivery.bounds), self._now()
        )
        if known is None:
            return None
        return self._apply_answer(decision, grant, access, "remembered", yes=known)

    async def authorize(
        self, request: Request, delivery: Delivery, describe_grant: Callable[[Grant], list[str]]
    ) -> Authorization:
        """Prompt the user, after `try_authorize` returned None. Raises Failure.

        `describe_grant` describes what would be handed out, in lines; the first continues "It gets".
        """
        access = AccessRequest(request, delivery.record, delivery.intended_projects)
        if not request.flag("attended"):
            raise Failure(
                "consent",
                f"{access.act[0].upper()}{access.act[1:]} needs your approval.",
                "ask with `attended`, and wait",
            )
        prompt_context = access.prompt_context
        if not prompt_context.has_display and not prompt_context.tty:
            raise Failure(
                "refused",
                f"Approval for {access.act} is impossible: {access.why_no_prompt}.",
                f"try again in a free terminal, or {self._rule_that_allows(access, delivery)}",
                why=NOT_ASKED,
            )
        async with self._prompter.turn() as end:
            # Another answer may have settled this fetch, or the policy have changed, meanwhile.
            authorization = self.try_authorize(request, delivery)
            if authorization is not None:
                return authorization
            decision, grant = decide_delivery(self.file.policy.rules, access.policy_input, delivery)
            if not self._approvals.count_question(self._now()):
                often = f"The agent prompts at most {MOST_QUESTIONS} times a minute"
                raise self._refused_error(
                    decision, often, "wait a minute", why="too many questions"
                )
            remember = decision.rule.remember if decision.rule and decision.certain else 0
            lines = delivery.question_lines(access, describe_grant(grant), remember)
            named = self._pinentry or self.file.policy.pinentry
            state = self._state
            watched = access.descriptor if delivery.watched is None else delivery.watched
            answer = await self._prompter.ask(lines, prompt_context, named, end, watched)
            if answer not in {"yes", "no"}:
                silence = f"The prompt about {access.act} was not answered"
                raise self._refused_error(decision, silence, why="no answer")
            yes = answer == "yes"
            self._rules_in_force()
            if yes and state != self._state:
                raise Failure(
                    "busy",
                    "The policy changed or a vault was locked during the prompt.",
                    "try again",
                )
            what = access.access_key(grant, delivery.bounds)
            self._approvals.remember(
                access.requester_key,
                what,
                yes=yes,
                remember=remember,
                now=self._now(),
                least=delivery.answer_seconds,
            )
            return self._apply_answer(decision, grant, access, "asked", yes=yes)

    def may_use(self, decision: Decision) -> bool:
        """Tell whether the rate limit of the rule that decided allows one more fetch."""
        return decision.rule is None or self._approvals.may_use(decision.rule, self._now())

    def use(self, decision: Decision) -> None:
        """Count one more fetch for the rate limit."""
        if decision.rule is not None:
            self._approvals.use(decision.rule, self._now())

    def _rules_in_force(self) -> tuple[Rule, ...]:
        """Return the rules in force; forget approvals if rules or keys changed. Raises Failure."""
        rules = read_rules(self.file, self._vaults.clock.wall())
        state = (self.file.changes, self._vaults.closings)
        if state != self._state:  # an approval holds for its rules and its keys
            self._state = state
            self._approvals.forget()
        return rules

    def _rule_that_allows(self, access: AccessRequest, delivery: Delivery) -> str:
        """Return which rule would allow the request and where it has to stand, as far as that is certain."""
        rules, given, name = self.file.policy.rules, access.policy_input, access.tool_name
        decision, _ = decide_delivery(rules, given, delivery)
        asks = decision.rule or Rule(ASK)
        if not decision.certain:
            return (
                f"have a rule in {self.file.path} allow it: it is not certain whether the rule in line"
                f" {asks.line} applies"
            )
        where = f"before line {asks.line} of {self.file.path}"
        projects, purposes = tuple(sorted(given.projects)), (given.purpose,) * bool(given.purpose)
        rule = Rule(ALLOW, 0, (given.service,), (), (name,), purposes, projects)
        allowed, _ = decide_delivery((rule, *rules), given, delivery)
        is_alike = (asks.rate, asks.terms) == (rule.rate, rule.terms)
        can_be_shown = "://" in given.service and name.isprintable() and "`" not in name
        if allowed.word != ALLOW or not (asks.line and is_alike and can_be_shown):
            return f"have a rule {where} allow it"
        keys = {"service": (display(given.service),), "program": (name,), "purpose": purposes}
        lines = [
            f"{key} = {json.dumps(values if len(values) > 1 else values[0])}"
            for key, values in {**keys, "project": projects, "decide": (ALLOW,)}.items()
            if values
        ]
        shown = " ".join(f"`{line}`" for line in ("[[policy]]", *lines))
        return f"put these lines {where}: {shown}"

    def _apply_answer(
        self, decision: Decision, grant: Grant, access: AccessRequest, how: str, *, yes: bool
    ) -> Authorization:
        if not yes:
            raise self._refused_error(decision, f"The user denied {access.summary}", consent=how)
        return self._authorization(decision, grant, how)

    def _require_within_rate(self, decision: Decision) -> None:
        rule = decision.rule
        if rule is not None and rule.rate is not None and not self.may_use(decision):
            often = f"The policy's rate limit is {rule.rate.times} in {duration_text(rule.rate.seconds)}"
            raise self._refused_error(
                decision, often, "wait until the limit allows it", why="too often"
            )

    def _authorization(
        self, decision: Decision, grant: Grant, consent: str | None
    ) -> Authorization:
        rule = decision.rule
        self._require_within_rate(decision)  # others may have passed during the prompt
        self.use(decision)
        return Authorization(rule and rule.line, consent, decision.terms, grant)

    def _denied_error(self, decision: Decision, access: AccessRequest) -> Failure:
        hint = "" if access.policy_input.known else _UNKNOWN
        return self._refused_error(decision, f"The policy denies {access.summary}", hint)

    def _refused_error(
        self, decision: Decision, what: str, hint: str = "", **more: str | None
    ) -> Failure:
        line = 0 if decision.rule is None else decision.rule.line
        where = f"line {line} of {self.file.path}" if line else self.file.path
        return Failure("refused", f"{what} ({where}).", hint, rule=line or None, **more)

    def _now(self) -> int:
        return self._vaults.clock.boot()
