"""The user's answers, for as long as they hold, and the counts for rate limits.

An answer holds for a minute for the very process that asked: a tool that asks for user name and
secret one after the other, or again after a denial, causes one prompt. With the rule's `remember`
an approval holds longer: for the same program, credential, purpose and projects. Both cover only
what the prompt offered; the whole token, a share, or a credential that another login has replaced
needs a new prompt. A process that runs a text instead of a file (`python -c`), that may be an
interpreter without a table, or that could not be read is never the same program. `forget` drops all
answers; none outlives the agent.

Times are seconds of a clock that is never set and counts sleep.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from tokenward_agent.policy.rule import Rule

ANSWER_SECONDS: Final = 60  # how long an answer holds for the process that asked
MOST_ANSWERS: Final = 4096
MOST_QUESTIONS: Final = 10  # prompts a minute: with more, users would stop reading them


class AccessKey(NamedTuple):
    """What is asked for: the stored credential's service and user name, the purpose, the projects.

    `grant_width` describes what goes out: from which login, in which form, how wide and for how long.
    """

    service: str
    username: str
    purpose: str
    projects: tuple[str, ...]
    grant_width: tuple[object, ...] = ()


class RequesterKey(NamedTuple):
    """The requester: `process` is that one process, `program` each process that runs the same.

    A process that becomes another program is another one. None if that is uncertain.
    """

    process: tuple[int, ...] | None
    program: tuple[str, str] | None


class Approvals:
    """The answers and counts of one agent."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[object, AccessKey], tuple[bool, int]] = OrderedDict()
        self._questions: deque[int] = deque()
        self._used: dict[Rule, deque[int]] = {}

    def find(self, who: RequesterKey, what: AccessKey, now: int) -> bool | None:
        """Return the answer that holds, None if the user has to be asked."""
        for asker in who:
            if asker is not None and (held := self._held.get((asker, what))) is not None:
                answer, until = held
                if now < until:
                    return answer
        return None

    def remember(
        self,
        who: RequesterKey,
        what: AccessKey,
        *,
        yes: bool,
        remember: int,
        now: int,
        least: int = ANSWER_SECONDS,
    ) -> None:
        """Keep an answer; `remember` is the rule's, in seconds, `least` how long a yes holds."""
        self._store(who.process, what, (yes, now + (least if yes else ANSWER_SECONDS)))
        if yes and remember:
            self._store(who.program, what, (yes, now + remember))

    def _store(self, requester: object, what: AccessKey, answer: tuple[bool, int]) -> None:
        if requester is None:
            return
        self._held.pop((requester, what), None)
        self._held[requester, what] = answer
        if len(self._held) > MOST_ANSWERS:
            self._held.popitem(last=False)

    def count_question(self, now: int) -> bool:
        """Tell whether one more prompt may be shown now, and count it if so."""
        room = _has_room(self._questions, MOST_QUESTIONS, 60, now)
        if room:
            self._questions.append(now)
        return room

    def may_use(self, rule: Rule, now: int) -> bool:
        """Tell whether a rule's rate limit lets one more request through."""
        return rule.rate is None or _has_room(self._times(rule), *rule.rate, now)

    def use(self, rule: Rule, now: int) -> None:
        """Count one more request that a rule let through."""
        if rule.rate is not None:
            self._times(rule).append(now)

    def _times(self, rule: Rule) -> deque[int]:
        """Return when a rule was used; a rule that moved within its file is the same."""
        return self._used.setdefault(rule._replace(line=0), deque())

    def has_state(self, now: int) -> bool:
        """Tell whether losing all of this would change a decision."""
        used = (
            times and rule.rate is not None and times[-1] > now - rule.rate.seconds
            for rule, times in self._used.items()
        )
        return any(now < until for _, until in self._held.values()) or any(used)

    def forget(self) -> None:
        """Forget every answer. The counts stay: a rate limit does not depend on answers."""
        self._held.clear()


def _has_room(times: deque[int], count: int, seconds: int, now: int) -> bool:
    """Tell whether one more fits into a span of so many seconds."""
    while times and times[0] <= now - seconds:
        times.popleft()
    return len(times) < count
